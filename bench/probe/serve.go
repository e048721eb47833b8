package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// serve answers the probes until its standard input ends. It is a process of
// its own, so that its memory and garbage collection are not the runner's, and
// prints the ports it listens on: http, grpc, https, grpcs, bare grpc.
func serve(caFile string) error {
	cert, caPEM, err := selfSigned()
	if err != nil {
		return err
	}
	if err := os.WriteFile(caFile, caPEM, 0o644); err != nil {
		return err
	}
	handler := http.HandlerFunc(answer)
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	secure := &http.Server{Handler: handler, TLSConfig: config}
	calls, secureCalls := grpc.NewServer(), grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&cert)))
	for _, s := range []*grpc.Server{calls, secureCalls} {
		grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	}
	var ports []string
	for _, start := range []func(net.Listener) error{
		serveBareHTTP,
		calls.Serve,
		func(l net.Listener) error { return secure.ServeTLS(l, "", "") },
		secureCalls.Serve,
		serveBareGRPC,
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
		go func() { _ = start(l) }() // it ends with the process
	}
	fmt.Println(strings.Join(ports, " "))
	_, err = os.Stdin.Read(make([]byte, 1))
	_ = err // the end of the input is what was waited for
	return nil
}

func answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/slow" {
		time.Sleep(300 * time.Millisecond)
	}
	fmt.Fprint(w, `{"status":"UP"}`)
}

// selfSigned makes a certificate for 127.0.0.1 that is its own authority.
func selfSigned() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "bench"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
