package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"
)

// ports is a flag that may be given several times.
type ports []int

func (p *ports) String() string { return fmt.Sprint(*p) }

func (p *ports) Set(value string) error {
	port, err := strconv.Atoi(value)
	if err != nil {
		return err
	}
	*p = append(*p, port)
	return nil
}

func (p ports) or(port int) ports {
	if len(p) == 0 {
		return ports{port}
	}
	return p
}

// serve listens until a listener fails. Without flags it serves HTTP at 8080, gRPC at 7070 and bytes at 9090.
func serve(args []string) error {
	var plain, rpc, raw, secure ports
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.Var(&plain, "port", "port of HTTP/1.1 and HTTP/2 (repeatable)")
	flags.Var(&rpc, "grpc", "port of gRPC (repeatable)")
	flags.Var(&raw, "tcp", "port of bytes (repeatable)")
	flags.Var(&secure, "tls", "a port of HTTP that speaks TLS (repeatable)")
	// The certificate is nobody's concern here: the server makes one of its own.
	flags.String("crt", "", "ignored")
	flags.String("key", "", "ignored")
	if err := flags.Parse(args); err != nil {
		return err
	}
	own, err := certificate()
	if err != nil {
		return err
	}
	failed := make(chan error)
	start := func(port int, run func(net.Listener) error) {
		go func() {
			listener, err := net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(port)))
			if err == nil {
				err = run(listener)
			}
			failed <- fmt.Errorf("port %d: %w", port, err)
		}()
	}
	for _, port := range plain.or(8080) {
		server := httpServer(port, own)
		if slices.Contains(secure, port) {
			start(port, func(l net.Listener) error { return server.ServeTLS(l, "", "") })
		} else {
			start(port, server.Serve)
		}
	}
	for _, port := range rpc.or(7070) {
		server := grpc.NewServer()
		server.RegisterService(&serviceDesc, grpcEcho{port})
		start(port, server.Serve)
	}
	for _, port := range raw.or(9090) {
		start(port, func(l net.Listener) error { return serveBytes(l, port) })
	}
	log.Println("serving")
	return <-failed
}

func httpServer(port int, own tls.Certificate) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var body lines
			body.add("StatusCode", "200")
			body.addPort(port)
			body.add("Host", r.Host)
			body.add("URL", r.RequestURI)
			body.add("Method", r.Method)
			body.add("Proto", r.Proto)
			for name, values := range r.Header {
				for _, value := range values {
					body.add("RequestHeader", name+":"+value)
				}
			}
			body.addHostname()
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, body.String())
		}),
		Protocols:         protocols,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{own}},
		ReadHeaderTimeout: 10 * time.Second,
	}
}

// serveBytes says who it is and then gives back what it gets.
func serveBytes(listener net.Listener, port int) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			var greeting lines
			greeting.add("StatusCode", "200")
			greeting.addPort(port)
			greeting.addHostname()
			if _, err := io.WriteString(conn, greeting.String()); err == nil {
				_, _ = io.Copy(conn, conn)
			}
		}()
	}
}

func certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(1, 0, 0),
		DNSNames:     []string{"echo"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
