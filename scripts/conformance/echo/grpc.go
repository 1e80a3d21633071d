package main

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	grpcService = "outrigger.conformance.Echo"
	grpcMethod  = "/" + grpcService + "/Echo"
)

type echoServer interface {
	echo(ctx context.Context) string
}

// serviceDesc has one unary method whose answer is text, which needs no generated code.
var serviceDesc = grpc.ServiceDesc{
	ServiceName: grpcService,
	HandlerType: (*echoServer)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Echo",
		Handler: func(server any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			if err := decode(&wrapperspb.StringValue{}); err != nil {
				return nil, err
			}
			return wrapperspb.String(server.(echoServer).echo(ctx)), nil
		},
	}},
}

type grpcEcho struct{ port int }

func (s grpcEcho) echo(ctx context.Context) string {
	var body lines
	body.add("StatusCode", "200")
	body.addPort(s.port)
	fields, _ := metadata.FromIncomingContext(ctx)
	for name, values := range fields {
		for _, value := range values {
			if name == ":authority" {
				body.add("Host", value)
			} else if !strings.HasPrefix(name, ":") {
				body.add("RequestHeader", name+":"+value)
			}
		}
	}
	body.add("Proto", "GRPC")
	body.addHostname()
	return body.String()
}
