package main

import (
	"bytes"
	"context"
	"sort"
	"time"

	"github.com/golang/protobuf/ptypes/timestamp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// describeRow is a row of the statement: an instance, a change or a lock, as `row` says.
type describeRow struct {
	row, text1, text2 string
	text3             *string
	id                [16]byte
	time1             time.Time
	time2             *time.Time
}

func (s *server) describe(ctx context.Context) (*describeResponse, error) {
	accountID, err := s.accountID(ctx)
	if err != nil {
		return nil, err
	}
	found, err := s.describing.Query(ctx, s.describeStatement, accountID, "dcdn")
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var rows []describeRow
	for found.Next() {
		var r describeRow
		// In the order of the statement; nil where the reply needs nothing of a column.
		err := found.Scan(&r.row, nil, nil, &r.id, &r.text1, &r.text2, &r.text3, &r.time1, &r.time2, nil, nil)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	if err := found.Err(); err != nil {
		return nil, err
	}
	return reply(rows, time.Now())
}

// reply says what the rows mean at an instant.
func reply(rows []describeRow, now time.Time) (*describeResponse, error) {
	var instance *describeRow
	var internet, websocket, locks []*describeRow
	for i := range rows {
		switch row := &rows[i]; {
		case row.row == "instance":
			instance = row
		case row.row == "lock":
			locks = append(locks, row)
		case row.text1 == "internet":
			internet = append(internet, row)
		default:
			websocket = append(websocket, row)
		}
	}
	if instance == nil {
		return nil, status.Error(codes.NotFound, "DCDN has not been opened")
	}
	sort.Slice(locks, func(i, j int) bool { return locks[j].after(locks[i]) })
	reasons := make([]*lockReason, len(locks))
	for i, lock := range locks {
		reasons[i] = &lockReason{LockReason: lock.text1}
	}
	says := &describeResponse{
		RequestID:          requestID(),
		InstanceID:         instance.text1,
		InternetChargeType: internetNumbers[inForce(instance.text2, internet, now)],
		OpeningTime:        wireTime(instance.time1),
		OperationLocks:     &operationLocks{LockReason: reasons},
	}
	if changing := submittedLast(internet); changing != nil {
		says.ChangingChargeType = number(internetNumbers, changing.text2)
		says.ChangingAffectTime = wireTime(*changing.time2)
	}
	if instance.text3 != nil {
		says.WebsocketType = number(websocketNumbers, inForce(*instance.text3, websocket, now))
		if changing := submittedLast(websocket); changing != nil {
			says.WebsocketChangingType = number(websocketNumbers, changing.text2)
			says.WebsocketChangingTime = wireTime(*changing.time2)
		}
	}
	return says, nil
}

// inForce returns the charge type of the last change that has taken effect, or that of the opening.
func inForce(opening string, changes []*describeRow, now time.Time) string {
	var last *describeRow
	for _, change := range changes {
		if change.time2.After(now) {
			continue
		}
		if last == nil || change.time2.After(*last.time2) || change.time2.Equal(*last.time2) && change.after(last) {
			last = change
		}
	}
	if last == nil {
		return opening
	}
	return last.text2
}

func submittedLast(changes []*describeRow) *describeRow {
	var last *describeRow
	for _, change := range changes {
		if last == nil || change.after(last) {
			last = change
		}
	}
	return last
}

// after tells whether a change was submitted, or a lock was set, after another.
func (r *describeRow) after(other *describeRow) bool {
	if r.time1.Equal(other.time1) {
		return bytes.Compare(r.id[:], other.id[:]) > 0
	}
	return r.time1.After(other.time1)
}

func number(numbers map[string]int32, name string) *int32 {
	value := numbers[name]
	return &value
}

func wireTime(t time.Time) *timestamp.Timestamp {
	return &timestamp.Timestamp{Seconds: t.Unix(), Nanos: int32(t.Nanosecond())}
}
