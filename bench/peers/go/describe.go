package main

import (
	"context"
	"errors"
	"sort"
	"time"

	"github.com/golang/protobuf/ptypes/timestamp"
	"github.com/jackc/pgx/v4"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// instance is the row of the statement, with what a reply needs of it.
type instance struct {
	instanceID          string
	internetChargeType  string
	websocketChargeType *string
	openingTime         time.Time
	changes             map[string]*change // by id
	locks               map[string]*lock   // by reason
}

type change struct {
	id            string
	Kind          string    `json:"kind"`
	ChargeType    string    `json:"charge_type"`
	SubmittedAt   time.Time `json:"submitted_at"`
	EffectiveTime time.Time `json:"effective_time"`
}

type lock struct {
	reason   string
	LockID   string    `json:"lock_id"`
	LockedAt time.Time `json:"locked_at"`
}

func (s *server) describe(ctx context.Context) (*describeResponse, error) {
	accountID, err := s.accountID(ctx)
	if err != nil {
		return nil, err
	}
	var i instance
	// In the order of the statement; nil where the reply needs nothing of a column.
	err = s.describing.QueryRow(ctx, s.describeStatement, accountID, "dcdn").Scan(nil, &i.instanceID,
		&i.internetChargeType, &i.websocketChargeType, &i.openingTime, nil, nil, &i.changes, &i.locks)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, status.Error(codes.NotFound, "DCDN has not been opened")
	}
	if err != nil {
		return nil, err
	}
	return i.reply(time.Now()), nil
}

// reply says what the row means at an instant.
func (i *instance) reply(now time.Time) *describeResponse {
	locks := make([]*lock, 0, len(i.locks))
	for reason, lock := range i.locks {
		lock.reason = reason
		locks = append(locks, lock)
	}
	sort.Slice(locks, func(a, b int) bool {
		return after(locks[b].LockedAt, locks[b].LockID, locks[a].LockedAt, locks[a].LockID)
	})
	reasons := make([]*lockReason, len(locks))
	for n, lock := range locks {
		reasons[n] = &lockReason{LockReason: lock.reason}
	}
	current, changing := i.charged("internet", i.internetChargeType, now)
	says := &describeResponse{
		RequestID:          requestID(),
		InstanceID:         i.instanceID,
		InternetChargeType: internetNumbers[current],
		OpeningTime:        wireTime(i.openingTime),
		OperationLocks:     &operationLocks{LockReason: reasons},
	}
	if changing != nil {
		says.ChangingChargeType = number(internetNumbers, changing.ChargeType)
		says.ChangingAffectTime = wireTime(changing.EffectiveTime)
	}
	if i.websocketChargeType != nil {
		current, changing := i.charged("websocket", *i.websocketChargeType, now)
		says.WebsocketType = number(websocketNumbers, current)
		if changing != nil {
			says.WebsocketChangingType = number(websocketNumbers, changing.ChargeType)
			says.WebsocketChangingTime = wireTime(changing.EffectiveTime)
		}
	}
	return says
}

// charged returns the charge type of the last change of a kind that has taken effect, or that of the opening; and the
// change submitted last.
func (i *instance) charged(kind, opening string, now time.Time) (current string, changing *change) {
	var inForce *change
	for id, c := range i.changes {
		c.id = id
		if c.Kind != kind {
			continue
		}
		if changing == nil || c.after(changing) {
			changing = c
		}
		if !c.EffectiveTime.After(now) && (inForce == nil || c.inForceAfter(inForce)) {
			inForce = c
		}
	}
	if inForce != nil {
		return inForce.ChargeType, changing
	}
	return opening, changing
}

// inForceAfter tells whether a change takes effect after another; of two at the same time, the one submitted later.
func (c *change) inForceAfter(other *change) bool {
	if c.EffectiveTime.Equal(other.EffectiveTime) {
		return c.after(other)
	}
	return c.EffectiveTime.After(other.EffectiveTime)
}

// after tells whether a change was submitted after another.
func (c *change) after(other *change) bool {
	return after(c.SubmittedAt, c.id, other.SubmittedAt, other.id)
}

// after tells whether an instant comes after another; of two at the same time, the one with the greater id.
func after(at time.Time, id string, other time.Time, otherID string) bool {
	if at.Equal(other) {
		return id > otherID
	}
	return at.After(other)
}

func number(numbers map[string]int32, name string) *int32 {
	value := numbers[name]
	return &value
}

func wireTime(t time.Time) *timestamp.Timestamp {
	return &timestamp.Timestamp{Seconds: t.Unix(), Nanos: int32(t.Nanosecond())}
}
