//go:build linux && !nonet

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/decoy/internal/config"
)

// networked tells the image builder that this program can report to a
// collector; see config.Networked.
const networked = 1

const (
	deadline  = 1500 * time.Millisecond // of all that goes over a network
	retryWait = 100 * time.Millisecond
	maxStatus = 256 // bytes of the collector's answer that are read
)

// report sends the alarm to the collector and resolves its name, both at once,
// and closes the returned channel when both are done or the time is up.
func report(c config.Config, d config.Decoy, e alert.Event) <-chan struct{} {
	done := make(chan struct{})
	if c.Collector == "" && c.Zone == "" {
		close(done)
		return done
	}
	key := alert.KeyFromBytes(d.Key)
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	named := make(chan struct{})
	go func() {
		defer close(named)
		if name, err := key.Name(e, c.Zone); c.Zone != "" && err == nil {
			_, _ = net.DefaultResolver.LookupHost(ctx, name) // the question is the message
		}
	}()
	go func() {
		defer close(done)
		defer cancel()
		message := key.Seal(e, alert.MaxMessage)
		for c.Collector != "" && ctx.Err() == nil && post(ctx, c, message) != nil {
			select { // again with the same nonce: a collector counts it once
			case <-ctx.Done():
			case <-time.After(retryWait):
			}
		}
		<-named
	}()
	return done
}

// post sends one HTTP/1.1 request by hand: net/http would double the
// program's size and start.
func post(ctx context.Context, c config.Config, message []byte) error {
	u, err := url.Parse(c.Collector)
	if err != nil {
		return err
	}
	conf := &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	if len(c.CA) > 0 {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(c.CA) {
			return errors.New("no certificate in the configured CA")
		}
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	conn, err := (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return err
	}
	defer conn.Close()
	if at, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(at) // only fails on a closed connection
	}
	request := "POST " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host + "\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: " +
		strconv.Itoa(len(message)) + "\r\n\r\n" + string(message)
	if _, err := conn.Write([]byte(request)); err != nil {
		return err
	}
	status, err := bufio.NewReaderSize(conn, maxStatus).ReadSlice('\n')
	if err != nil {
		return err
	}
	if f := strings.Fields(string(status)); len(f) < 2 || !strings.HasPrefix(f[1], "2") {
		return errors.New("collector did not accept the alarm")
	}
	return nil
}
