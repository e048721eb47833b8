// Command standin stands in for lprobe where lprobe cannot be installed: a
// health probe made of the same parts, net/http and grpc-go with their usual
// use, and nothing else. It shows what that construction costs; it is not
// lprobe, and the benchmark says so.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	mode := flag.String("mode", "http", "http or grpc")
	port := flag.String("port", "8080", "port on 127.0.0.1")
	endpoint := flag.String("endpoint", "/", "path")
	ca := flag.String("tls-ca-cert", "", "CA file; selects TLS")
	flag.Parse()
	check := checkHTTP
	if *mode == "grpc" {
		check = checkGRPC
	}
	config, err := clientConfig(*ca)
	if err == nil {
		err = check(net.JoinHostPort("127.0.0.1", *port), *endpoint, config)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func clientConfig(ca string) (*tls.Config, error) {
	if ca == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots}, nil
}

func checkHTTP(addr, path string, config *tls.Config) error {
	scheme := "http"
	if config != nil {
		scheme = "https"
	}
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{TLSClientConfig: config}}
	resp, err := client.Get(scheme + "://" + addr + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

func checkGRPC(addr, _ string, config *tls.Config) error {
	creds := insecure.NewCredentials()
	if config != nil {
		creds = credentials.NewTLS(config)
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	resp, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return err
	}
	if resp.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("status %v", resp.Status)
	}
	return nil
}
