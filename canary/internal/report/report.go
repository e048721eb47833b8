// Package report sends alarm messages to a collector. It speaks HTTP/1.1 over
// TLS by hand: net/http would double the size and the start of a decoy.
package report

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
)

const maxStatus = 256 // bytes of the collector's answer that are read

// Post sends one message and returns nil once the collector has accepted it.
// ca is PEM, or empty for the image's own bundle. ctx bounds all of it.
func Post(ctx context.Context, collector string, ca, message []byte) error {
	u, err := url.Parse(collector)
	if err != nil {
		return err
	}
	conf := &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	if len(ca) > 0 {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(ca) {
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
