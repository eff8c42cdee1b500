package main

import (
	"context"
	"encoding/json"
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
	changes             []change
	locks               []lock
	isUncarried         bool
}

// entry is what changes and locks have in common: an id, and when one was submitted or set.
type entry struct {
	id string
	at time.Time
}

type change struct {
	entry
	kind, chargeType string
	effectiveTime    time.Time
}

type lock struct {
	entry
	reason string
}

// UnmarshalJSON reads the beginning of the array that a change is, and leaves the rest: a reply needs nothing of it.
func (c *change) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[...]interface{}{&c.id, &c.kind, &c.chargeType, &c.at, &c.effectiveTime})
}

// UnmarshalJSON does the same for a lock.
func (l *lock) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[...]interface{}{&l.id, &l.reason, nil, &l.at})
}

func (s *server) describe(ctx context.Context) (*describeResponse, error) {
	accountID, err := s.accountID(ctx)
	if err != nil {
		return nil, err
	}
	var i instance
	// In the order of the statement; nil where the reply needs nothing of a column.
	err = s.describing.QueryRow(ctx, s.describeStatement, accountID, "dcdn").Scan(nil, &i.instanceID,
		&i.internetChargeType, &i.websocketChargeType, &i.openingTime, nil, nil, &i.changes, &i.locks,
		&i.isUncarried)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, status.Error(codes.NotFound, "DCDN has not been opened")
	}
	if err != nil {
		return nil, err
	}
	if i.isUncarried {
		return nil, status.Error(codes.Unimplemented, "the history would have to be looked up")
	}
	return i.reply(time.Now()), nil
}

// reply says what the row means at an instant.
func (i *instance) reply(now time.Time) *describeResponse {
	sort.Slice(i.locks, func(a, b int) bool { return i.locks[b].after(&i.locks[a].entry) })
	reasons := make([]*lockReason, len(i.locks))
	for n, lock := range i.locks {
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
		says.ChangingChargeType = number(internetNumbers, changing.chargeType)
		says.ChangingAffectTime = wireTime(changing.effectiveTime)
	}
	if i.websocketChargeType != nil {
		current, changing := i.charged("websocket", *i.websocketChargeType, now)
		says.WebsocketType = number(websocketNumbers, current)
		if changing != nil {
			says.WebsocketChangingType = number(websocketNumbers, changing.chargeType)
			says.WebsocketChangingTime = wireTime(changing.effectiveTime)
		}
	}
	return says
}

// charged returns the charge type of the last change of a kind that has taken effect, or that of the opening; and the
// change submitted last.
func (i *instance) charged(kind, opening string, now time.Time) (current string, changing *change) {
	var inForce *change
	for n := range i.changes {
		c := &i.changes[n]
		if c.kind != kind {
			continue
		}
		if changing == nil || c.after(&changing.entry) {
			changing = c
		}
		if !c.effectiveTime.After(now) && (inForce == nil || c.inForceAfter(inForce)) {
			inForce = c
		}
	}
	if inForce != nil {
		return inForce.chargeType, changing
	}
	return opening, changing
}

// inForceAfter tells whether a change takes effect after another; of two at the same time, the one submitted later.
func (c *change) inForceAfter(other *change) bool {
	if c.effectiveTime.Equal(other.effectiveTime) {
		return c.after(&other.entry)
	}
	return c.effectiveTime.After(other.effectiveTime)
}

// after tells whether a change was submitted, or a lock was set, after another.
func (e *entry) after(other *entry) bool {
	if e.at.Equal(other.at) {
		return e.id > other.id
	}
	return e.at.After(other.at)
}

func number(numbers map[string]int32, name string) *int32 {
	value := numbers[name]
	return &value
}

func wireTime(t time.Time) *timestamp.Timestamp {
	return &timestamp.Timestamp{Seconds: t.Unix(), Nanos: int32(t.Nanosecond())}
}
