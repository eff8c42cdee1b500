package main

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v4"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What an account may open with by itself, by number; by traffic where nothing is given.
var public = map[int32]string{0: "PayByTraffic", 1: "PayByTraffic", 2: "PayByBandwidth"}

const (
	readAccount = `
		SELECT site, intl_allowed, bid_user, real_name_verified, profile_complete, payment_method_valid,
			balance, orders_refused, event_time
		FROM accounts WHERE account_id = $1 FOR SHARE`
	insertInstance = `
		INSERT INTO instances (account_id, product, instance_id, internet_charge_type,
			websocket_charge_type, opening_time, order_id, event_time)
		VALUES ($1, 'cdn', $2, $3, NULL, $4, $5, $6) ON CONFLICT DO NOTHING`
	insertOrder = `
		INSERT INTO orders (account_id, order_id, product, internet_charge_type, websocket_charge_type,
			ordered_at)
		VALUES ($1, $2, 'cdn', $3, NULL, $4)`
	insertEvent = `
		INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
		VALUES ($1, $2, $1::bigint % 16, $3, 'activation.instance.opened', $4)`
)

// eventData stands for an encoded event: as many bytes as one of ours.
var eventData = bytes.Repeat([]byte("e"), 90)

type account struct {
	site               string
	intlAllowed        bool
	bidUser            bool
	realNameVerified   bool
	profileComplete    bool
	paymentMethodValid bool
	balance            int64
	ordersRefused      bool
	eventTime          time.Time
}

func (s *server) open(ctx context.Context, request *openRequest) (*openResponse, error) {
	accountID, err := s.accountID(ctx)
	if err != nil {
		return nil, err
	}
	chargeType, ok := public[request.InternetChargeType]
	if !ok {
		return nil, status.Error(codes.InvalidArgument, "the charge type cannot be opened with")
	}
	err = s.opening.BeginFunc(ctx, func(transaction pgx.Tx) error {
		return write(ctx, transaction, accountID, chargeType)
	})
	if err != nil {
		return nil, err
	}
	return &openResponse{RequestID: requestID()}, nil
}

func write(ctx context.Context, transaction pgx.Tx, accountID int64, chargeType string) error {
	var a account
	err := transaction.QueryRow(ctx, readAccount, accountID).Scan(&a.site, &a.intlAllowed, &a.bidUser,
		&a.realNameVerified, &a.profileComplete, &a.paymentMethodValid, &a.balance, &a.ordersRefused, &a.eventTime)
	if errors.Is(err, pgx.ErrNoRows) {
		return status.Error(codes.NotFound, "there is no such account")
	}
	if err != nil {
		return err
	}
	if err := a.checkBeforeOpening(); err != nil {
		return err
	}
	now, orderID := time.Now(), newID()
	eventTime := now
	if least := a.eventTime.Add(time.Microsecond); least.After(now) {
		eventTime = least
	}
	inserted, err := transaction.Exec(ctx, insertInstance, accountID, strconv.FormatInt(accountID, 10), chargeType,
		now, orderID, eventTime)
	if err != nil {
		return err
	}
	if inserted.RowsAffected() == 0 {
		return status.Error(codes.AlreadyExists, "CDN has been opened")
	}
	// A refusal rolls the transaction back, which takes the row back.
	if err := a.checkAfterOpening(); err != nil {
		return err
	}
	if _, err := transaction.Exec(ctx, insertOrder, accountID, orderID, chargeType, now); err != nil {
		return err
	}
	_, err = transaction.Exec(ctx, insertEvent, accountID, newID(), eventTime, eventData)
	return err
}

// checkBeforeOpening has the conditions that are reported before "has been opened".
func (a *account) checkBeforeOpening() error {
	switch {
	case a.bidUser:
		return status.Error(codes.PermissionDenied, "bid user")
	case a.site == "intl" && !a.intlAllowed:
		return status.Error(codes.PermissionDenied, "international site")
	}
	return nil
}

// checkAfterOpening has the conditions that are reported after it.
func (a *account) checkAfterOpening() error {
	switch {
	case !a.realNameVerified:
		return status.Error(codes.FailedPrecondition, "no real-name authentication")
	case !a.profileComplete:
		return status.Error(codes.FailedPrecondition, "the profile is incomplete")
	case !a.paymentMethodValid:
		return status.Error(codes.FailedPrecondition, "no payment method")
	case a.balance < 0:
		return status.Error(codes.FailedPrecondition, "the balance is too low")
	case a.ordersRefused:
		return status.Error(codes.Aborted, "orders are refused")
	}
	return nil
}
