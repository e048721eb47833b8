package checks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/hardstand/hardstand/app/health"
)

// DNS fails unless host resolves to an address. A nil resolver is
// net.DefaultResolver.
func DNS(host string, resolver *net.Resolver) health.ContextFunc {
	return func(ctx context.Context) error {
		r := resolver
		if r == nil {
			r = net.DefaultResolver
		}
		if _, err := r.LookupNetIP(ctx, "ip", host); err != nil {
			return fmt.Errorf("check DNS: %w", err)
		}
		return nil
	}
}

// SQL fails unless the database answers a ping. Drivers' errors may name users
// and hosts, so register it with health.Public if names are disclosed.
func SQL(db *sql.DB) health.ContextFunc {
	return func(ctx context.Context) error {
		if err := db.PingContext(ctx); err != nil {
			return fmt.Errorf("ping database: %w", err)
		}
		return nil
	}
}

// DiskLimits are what Disk asks for. A zero field asks for nothing.
type DiskLimits struct {
	FreeBytes  uint64  // available to this user
	FreeShare  float64 // of the file system's size, 0 to 1
	FreeInodes uint64
}

// Disk fails when the file system that holds path has less left than the limits
// ask for.
func Disk(path string, l DiskLimits) health.ContextFunc {
	return func(context.Context) error {
		u, err := usage(path)
		if err != nil {
			return fmt.Errorf("check disk space of %s: %w", path, err)
		}
		switch {
		case u.free < l.FreeBytes:
			return fmt.Errorf("check disk space of %s: %d bytes free, want %d", path, u.free, l.FreeBytes)
		case float64(u.free) < l.FreeShare*float64(u.size):
			return fmt.Errorf("check disk space of %s: %d of %d bytes free, want a share of %g", path, u.free, u.size, l.FreeShare)
		case u.inodes > 0 && u.freeInodes < l.FreeInodes:
			return fmt.Errorf("check disk space of %s: %d inodes free, want %d", path, u.freeInodes, l.FreeInodes)
		}
		return nil
	}
}

type diskUsage struct{ size, free, inodes, freeInodes uint64 }

// Goroutines fails when more than limit goroutines exist.
func Goroutines(limit int) health.ContextFunc {
	return func(context.Context) error {
		if n := runtime.NumGoroutine(); n > limit {
			return fmt.Errorf("%d goroutines, limit %d", n, limit)
		}
		return nil
	}
}

// Heap fails when live objects and those not yet swept take more than limit
// bytes. Reading that does not stop the program.
func Heap(limit uint64) health.ContextFunc {
	return func(context.Context) error {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		if sample[0].Value.Kind() != metrics.KindUint64 {
			return errors.New("check heap: the runtime does not tell its size")
		}
		if n := sample[0].Value.Uint64(); n > limit {
			return fmt.Errorf("heap of %d bytes, limit %d", n, limit)
		}
		return nil
	}
}

// maxCertificates bounds the bytes read from a file of certificates.
const maxCertificates = 1 << 20

// CertificateFile fails when the PEM file holds no certificate, or one that is
// not valid yet or will not be for at least another left.
func CertificateFile(path string, left time.Duration) health.ContextFunc {
	return func(context.Context) error {
		certs, err := readCertificates(path)
		if err != nil {
			return fmt.Errorf("check certificates: %w", err)
		}
		return expiry(certs, left)
	}
}

func readCertificates(path string) ([]*x509.Certificate, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // opened to read
	text, err := io.ReadAll(io.LimitReader(f, maxCertificates+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxCertificates {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxCertificates)
	}
	certs, err := parseCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return certs, nil
}

func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate found")
	}
	return certs, nil
}

// TLS fails unless a verified TLS connection to addr, "host:port", can be made
// with certificates that are valid for at least another left. A nil config
// verifies against the system's roots.
func TLS(addr string, left time.Duration, config *tls.Config) health.ContextFunc {
	return func(ctx context.Context) error {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: defaultTimeout}, Config: config}
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return fmt.Errorf("check TLS of %s: %w", addr, err)
		}
		defer func() { _ = conn.Close() }() // nothing was sent
		c, ok := conn.(*tls.Conn)
		if !ok {
			return fmt.Errorf("check TLS of %s: not a TLS connection", addr)
		}
		return expiry(c.ConnectionState().PeerCertificates, left)
	}
}

func expiry(certs []*x509.Certificate, left time.Duration) error {
	now := time.Now()
	for _, c := range certs {
		if now.Before(c.NotBefore) {
			return fmt.Errorf("certificate of %q is not valid before %s", c.Subject, c.NotBefore.UTC().Format(time.RFC3339))
		}
		if now.Add(left).After(c.NotAfter) {
			return fmt.Errorf("certificate of %q expires %s", c.Subject, c.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	return nil
}
