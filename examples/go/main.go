// A client of cdn-activation in Go: retries, deadlines, the account, and events that are followed across restarts.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"time"

	billing "cdn-activation/gen/activation/billing/v1"
	cdn "cdn-activation/gen/activation/cdn/v1"
	event "cdn-activation/gen/activation/event/v1"
	operator "cdn-activation/gen/activation/operator/v1"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	deadline = 5 * time.Second  // retries included
	watch    = 30 * time.Second // the longest that the service allows
)

// client has one connection to each address, and the token of this service.
type client struct {
	connection *grpc.ClientConn
	token      string
}

// operator returns the context of an operator's call: the deadline and the token.
func (c client) operator(within time.Duration) (context.Context, context.CancelFunc) {
	with := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+c.token)
	return context.WithTimeout(with, within)
}

// ofAccount returns the context of an action: the same and the account.
func (c client) ofAccount(accountID int64) (context.Context, context.CancelFunc) {
	with, cancel := c.operator(deadline)
	return metadata.AppendToOutgoingContext(with, "x-account-id", strconv.FormatInt(accountID, 10)), cancel
}

// follow passes the events of an account to process, from the stored cursor or from the oldest that is kept, until process
// returns false. A cursor is stored after its event is processed.
func (c client) follow(accountID int64, cursorFile string, process func(*event.Event) bool) error {
	stored, err := os.ReadFile(cursorFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	request := &operator.WatchEventsRequest{Cursor: string(stored), AccountId: accountID}
	for failures := 0; ; failures++ {
		if failures > 1 {
			time.Sleep(time.Duration(rand.Int63n(int64(2 * time.Second))))
		}
		with, cancel := c.operator(watch)
		stream, err := operator.NewEventServiceClient(c.connection).WatchEvents(with, request)
		var response *operator.WatchEventsResponse
		for err == nil {
			if response, err = stream.Recv(); err == nil {
				failures = 0
				more := response.Event == nil || process(response.Event)
				request.Cursor = response.Cursor
				if err := store(cursorFile, request.Cursor); err != nil || !more {
					cancel()
					return err
				}
			}
		}
		cancel()
		switch status.Code(err) {
		case codes.DeadlineExceeded, codes.Unavailable, codes.Canceled:
			// The deadline of a watch, a server that stops, a broken connection.
		default: // OutOfRange (CursorExpired), too: read the state anew, then start with an empty cursor.
			return err
		}
	}
}

// store replaces a file as a whole.
func store(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func run(target string, accountID int64, serviceConfig string) error {
	token, err := os.ReadFile(os.Getenv("TOKEN_FILE"))
	if err != nil {
		return err
	}
	// Plaintext is for one machine: beyond it, use grpc.WithTransportCredentials(credentials.NewTLS(nil)).
	connection, err := grpc.Dial(target, grpc.WithInsecure(), grpc.WithDefaultServiceConfig(serviceConfig))
	if err != nil {
		return err
	}
	defer connection.Close()
	c := client{connection, strings.TrimSpace(string(token))}

	with, cancel := c.ofAccount(accountID)
	defer cancel()
	shown, err := cdn.NewCdnServiceClient(connection).DescribeUserCdnStatus(with, &cdn.DescribeUserCdnStatusRequest{})
	if err != nil {
		return err
	}
	fmt.Printf("status enabled=%v\n", shown.Enabled)

	// Each write has an id of its own. The retries of the service config repeat the write with the same id.
	locks, reason, product := operator.NewOperationLockServiceClient(connection), os.Getenv("REASON"), billing.Product_PRODUCT_CDN
	with, cancel = c.operator(2 * deadline)
	defer cancel()
	lock := operator.LockRequest{AccountId: accountID, Product: product, Reason: reason, RequestId: uuid.NewString()}
	locked, err := locks.Lock(with, &lock)
	if err != nil {
		return err
	}
	fmt.Println("locked", locked.OperationLock.Reason)
	unlock := operator.UnlockRequest{AccountId: accountID, Product: product, Reason: reason, RequestId: uuid.NewString()}
	unlocked, err := locks.Unlock(with, &unlock)
	if err != nil {
		return err
	}
	fmt.Println("lifted", unlocked.Lifted)

	left, _ := strconv.Atoi(os.Getenv("EVENTS")) // 0: without an end
	return c.follow(accountID, os.Getenv("CURSOR_FILE"), func(happened *event.Event) bool {
		fmt.Println("event", happened.Id, happened.Type, happened.GetData().GetOperationUnlocked().GetReason())
		left--
		return left != 0
	})
}

func main() {
	serviceConfig, err := os.ReadFile(os.Args[3])
	accountID, wrong := strconv.ParseInt(os.Args[2], 10, 64)
	if err == nil && wrong == nil {
		err = run(os.Args[1], accountID, string(serviceConfig))
	}
	if err != nil || wrong != nil {
		log.Fatal(err, wrong)
	}
}
