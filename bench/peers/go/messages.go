package main

import (
	"context"

	"github.com/golang/protobuf/proto"
	"github.com/golang/protobuf/ptypes/timestamp"
	"google.golang.org/grpc"
)

// The messages of proto/activation that are compared and their services, as protoc-gen-go would write them. By hand,
// because Debian's knows no `optional`.

type describeRequest struct{}

type describeResponse struct {
	RequestID             string               `protobuf:"bytes,1,opt,name=request_id,proto3"`
	InstanceID            string               `protobuf:"bytes,2,opt,name=instance_id,proto3"`
	InternetChargeType    int32                `protobuf:"varint,3,opt,name=internet_charge_type,proto3"`
	OpeningTime           *timestamp.Timestamp `protobuf:"bytes,4,opt,name=opening_time,proto3"`
	ChangingChargeType    *int32               `protobuf:"varint,5,opt,name=changing_charge_type"`
	ChangingAffectTime    *timestamp.Timestamp `protobuf:"bytes,6,opt,name=changing_affect_time,proto3"`
	OperationLocks        *operationLocks      `protobuf:"bytes,7,opt,name=operation_locks,proto3"`
	WebsocketType         *int32               `protobuf:"varint,8,opt,name=websocket_type"`
	WebsocketChangingType *int32               `protobuf:"varint,9,opt,name=websocket_changing_type"`
	WebsocketChangingTime *timestamp.Timestamp `protobuf:"bytes,10,opt,name=websocket_changing_time,proto3"`
}

type operationLocks struct {
	LockReason []*lockReason `protobuf:"bytes,1,rep,name=lock_reason,proto3"`
}

type lockReason struct {
	LockReason string `protobuf:"bytes,1,opt,name=lock_reason,proto3"`
}

type openRequest struct {
	InternetChargeType int32 `protobuf:"varint,1,opt,name=internet_charge_type,proto3"`
}

type openResponse struct {
	RequestID string `protobuf:"bytes,1,opt,name=request_id,proto3"`
}

func (m *describeRequest) Reset()         { *m = describeRequest{} }
func (m *describeRequest) String() string { return proto.CompactTextString(m) }
func (*describeRequest) ProtoMessage()    {}

func (m *describeResponse) Reset()         { *m = describeResponse{} }
func (m *describeResponse) String() string { return proto.CompactTextString(m) }
func (*describeResponse) ProtoMessage()    {}

func (m *operationLocks) Reset()         { *m = operationLocks{} }
func (m *operationLocks) String() string { return proto.CompactTextString(m) }
func (*operationLocks) ProtoMessage()    {}

func (m *lockReason) Reset()         { *m = lockReason{} }
func (m *lockReason) String() string { return proto.CompactTextString(m) }
func (*lockReason) ProtoMessage()    {}

func (m *openRequest) Reset()         { *m = openRequest{} }
func (m *openRequest) String() string { return proto.CompactTextString(m) }
func (*openRequest) ProtoMessage()    {}

func (m *openResponse) Reset()         { *m = openResponse{} }
func (m *openResponse) String() string { return proto.CompactTextString(m) }
func (*openResponse) ProtoMessage()    {}

// The numbers of the enums by the spelling in storage.
var internetNumbers = map[string]int32{
	"PayByTraffic":                 1,
	"PayByBandwidth":               2,
	"PayByBandwidth95":             3,
	"PayByBandwidth_monthavg":      4,
	"PayByBandwidth_month4th":      5,
	"PayByBandwidth_monthday95avg": 6,
	"PayByBandwidth_nighthalf95":   7,
}
var websocketNumbers = map[string]int32{"websockettraffic": 1, "websocketbps": 2}

var dcdnService = grpc.ServiceDesc{
	ServiceName: "activation.dcdn.v1.DcdnService",
	HandlerType: (*interface{})(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "DescribeDcdnService",
		Handler: func(s interface{}, ctx context.Context, read func(interface{}) error,
			_ grpc.UnaryServerInterceptor) (interface{}, error) {
			request := new(describeRequest)
			if err := read(request); err != nil {
				return nil, err
			}
			return s.(*server).describe(ctx)
		},
	}},
}

var cdnService = grpc.ServiceDesc{
	ServiceName: "activation.cdn.v1.CdnService",
	HandlerType: (*interface{})(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "OpenCdnService",
		Handler: func(s interface{}, ctx context.Context, read func(interface{}) error,
			_ grpc.UnaryServerInterceptor) (interface{}, error) {
			request := new(openRequest)
			if err := read(request); err != nil {
				return nil, err
			}
			return s.(*server).open(ctx, request)
		},
	}},
}
