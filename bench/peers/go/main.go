// The textbook service in Go: grpc-go and pgx, in one process. See ../README.md.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/jackc/pgx/v4/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	describeConnections = 8
	openConnections     = 16 // Open waits for the disk and gains by more of them
)

type server struct {
	describing        *pgxpool.Pool
	opening           *pgxpool.Pool
	describeStatement string
	authorization     string
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	describing, err := pool(os.Getenv("DATABASE_URL"), describeConnections)
	if err != nil {
		return err
	}
	opening, err := pool(os.Getenv("DATABASE_URL"), openConnections)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", os.Getenv("LISTEN"))
	if err != nil {
		return err
	}
	serving := &server{
		describing:        describing,
		opening:           opening,
		describeStatement: os.Getenv("DESCRIBE_SQL"),
		authorization:     "Bearer " + os.Getenv("SERVICE_TOKEN"),
	}
	grpcServer := grpc.NewServer()
	grpcServer.RegisterService(&dcdnService, serving)
	grpcServer.RegisterService(&cdnService, serving)
	fmt.Println("ready", listener.Addr())
	return grpcServer.Serve(listener)
}

// pool makes a pool whose connections are all there before the first call. pgx prepares each statement once per
// connection by itself.
func pool(url string, connections int32) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = connections
	config.MinConns = connections
	made, err := pgxpool.ConnectConfig(context.Background(), config)
	if err != nil {
		return nil, err
	}
	for i := int32(0); i < connections; i++ {
		connection, err := made.Acquire(context.Background())
		if err != nil {
			return nil, err
		}
		defer connection.Release()
	}
	return made, nil
}

// accountID checks who calls, and returns the account that the call is about.
func (s *server) accountID(ctx context.Context) (int64, error) {
	headers, _ := metadata.FromIncomingContext(ctx)
	if first(headers["authorization"]) != s.authorization {
		return 0, status.Error(codes.Unauthenticated, "the token is wrong")
	}
	id, err := strconv.ParseInt(first(headers["x-account-id"]), 10, 64)
	if err != nil {
		return 0, status.Error(codes.InvalidArgument, "x-account-id is not a number")
	}
	return id, nil
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
