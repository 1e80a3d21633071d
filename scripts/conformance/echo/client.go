package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	requestTimeout = 5 * time.Second
	// How many of a batch are under way at once.
	batchWidth = 10
)

// fields is the flag -H, `Name:value`, which may be given several times.
type fields []string

func (f *fields) String() string { return strings.Join(*f, ", ") }

func (f *fields) Set(value string) error {
	if !strings.Contains(value, ":") {
		return fmt.Errorf("%q is not Name:value", value)
	}
	*f = append(*f, value)
	return nil
}

// caller makes one call and gives what is to be printed of it.
type caller func(ctx context.Context) (*lines, error)

// call is `client URL [--method=M] [-H Name:value]... [--count=N]`: what came back, one block of lines a call.
func call(args []string) error {
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	method := flags.String("method", http.MethodGet, "method of HTTP")
	count := flags.Int("count", 1, "number of calls")
	var headers fields
	flags.Var(&headers, "H", "header, Name:value (repeatable)")
	if len(args) == 0 {
		return errors.New("usage: client URL [--method=M] [-H Name:value]... [--count=N]")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	target, err := url.Parse(args[0])
	if err != nil {
		return err
	}
	one := httpCaller(target, *method, headers)
	if target.Scheme == "grpc" {
		conn, err := grpc.NewClient("passthrough:///"+target.Host, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return err
		}
		defer conn.Close()
		one = grpcCaller(conn, headers)
	}
	return batch(one, *count)
}

// batch makes the calls, a few at once, and prints each. One that fails fails all.
func batch(one caller, count int) error {
	outputs := make([]*lines, count)
	errs := make([]error, count)
	var group sync.WaitGroup
	free := make(chan struct{}, batchWidth)
	for i := range count {
		free <- struct{}{}
		group.Go(func() {
			defer func() { <-free }()
			ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
			defer cancel()
			outputs[i], errs[i] = one(ctx)
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i, output := range outputs {
		for line := range strings.Lines(output.String()) {
			fmt.Printf("[%d] %s", i, line)
		}
		fmt.Println()
	}
	return nil
}

// httpCaller makes each call on a connection of its own and follows no redirects.
func httpCaller(target *url.URL, method string, headers fields) caller {
	transport := &http.Transport{
		DisableKeepAlives:  true,
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
	}
	return func(ctx context.Context) (*lines, error) {
		request, err := http.NewRequestWithContext(ctx, method, target.String(), nil)
		if err != nil {
			return nil, err
		}
		for _, field := range headers {
			name, value, _ := strings.Cut(field, ":")
			if strings.EqualFold(name, "host") {
				request.Host = strings.TrimSpace(value)
			} else {
				request.Header.Add(name, strings.TrimSpace(value))
			}
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		output := new(lines)
		output.add("StatusCode", fmt.Sprint(response.StatusCode))
		for name, values := range response.Header {
			for _, value := range values {
				output.add("ResponseHeader", name+":"+value)
			}
		}
		return output, addBody(output, response.Body)
	}
}

func grpcCaller(conn *grpc.ClientConn, headers fields) caller {
	return func(ctx context.Context) (*lines, error) {
		for _, field := range headers {
			name, value, _ := strings.Cut(field, ":")
			ctx = metadata.AppendToOutgoingContext(ctx, strings.ToLower(name), strings.TrimSpace(value))
		}
		answer := new(wrapperspb.StringValue)
		var header metadata.MD
		if err := conn.Invoke(ctx, grpcMethod, wrapperspb.String("echo"), answer, grpc.Header(&header)); err != nil {
			return nil, err
		}
		output := new(lines)
		output.add("StatusCode", "200")
		for name, values := range header {
			for _, value := range values {
				output.add("ResponseHeader", name+":"+value)
			}
		}
		return output, addBody(output, strings.NewReader(answer.GetValue()))
	}
}

// addBody marks what the server said, as the suite tells it from what the client saw.
func addBody(output *lines, body io.Reader) error {
	scanner := bufio.NewScanner(body)
	for scanner.Scan() {
		output.WriteString("body] " + scanner.Text() + "\n")
	}
	return scanner.Err()
}
