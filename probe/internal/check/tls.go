//go:build !notls

package check

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"time"

	"github.com/hardstand/hardstand/probe/internal/machine"
	"github.com/hardstand/hardstand/probe/internal/wire"
)

func init() { startTLS = handshake }

// maxPEM bounds a certificate or key file.
const maxPEM = 1 << 20

// handshake performs the TLS handshake on the connected socket of s.
func handshake(s *State) (stream, string) {
	config, why := tlsConfig(s.check)
	if why != "" {
		return stream{}, why
	}
	conn := tls.Client(&socketConn{s}, config)
	if err := conn.Handshake(); err != nil {
		return stream{}, tlsProblem(err)
	}
	got := conn.ConnectionState().NegotiatedProtocol
	if s.check.Kind == GRPC && got != "h2" && got != "" {
		return stream{}, "TLS: the server does not speak HTTP/2"
	}
	return tlsStream(conn), ""
}

func tlsConfig(c *Check) (*tls.Config, string) {
	config := &tls.Config{
		ServerName:         c.verifyName(),
		InsecureSkipVerify: c.Insecure, //nolint:gosec // only by --insecure
		MinVersion:         tls.VersionTLS12,
	}
	switch c.Kind {
	case HTTP:
		config.NextProtos = []string{"http/1.1"}
	case GRPC:
		config.NextProtos = []string{"h2"}
	}
	if c.Socket != "" || c.localhost() || c.loopbackLiteral() {
		// What never leaves the machine needs no protection from a future
		// quantum computer, and the hybrid exchange costs a tenth of the
		// whole check.
		config.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	}
	if why := c.loadFiles(config); why != "" {
		return nil, why
	}
	return config, ""
}

// verifyName is the name to find in the server's certificate.
func (c *Check) verifyName() string {
	switch {
	case c.ServerName != "":
		return c.ServerName
	case c.Host == "":
		return "localhost"
	}
	return c.Host
}

func (c *Check) loopbackLiteral() bool {
	var a machine.Addr
	var ok bool
	a.IP, _, ok = literal(c.Host, &a.Family)
	return ok && loopback(&a)
}

func (c *Check) loadFiles(config *tls.Config) string {
	if c.CAFile != "" {
		pem, why := readPEM("--ca-file", c.CAFile)
		if why != "" {
			return why
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return "reading --ca-file: no certificate in it"
		}
	}
	if c.CertFile == "" {
		return ""
	}
	cert, why := readPEM("--cert-file", c.CertFile)
	if why != "" {
		return why
	}
	key, why := readPEM("--key-file", c.KeyFile)
	if why != "" {
		return why
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return "--cert-file and --key-file: " + err.Error()
	}
	config.Certificates = []tls.Certificate{pair}
	return ""
}

// readPEM reads a file of certificates or of a key; flag is for the message.
func readPEM(flag, path string) (pem []byte, why string) {
	s := new(machine.Scratch)
	buf := make([]byte, 64<<10)
	f, cause := s.ReadFile(path, buf)
	if f.More {
		buf = make([]byte, maxPEM)
		f, cause = s.ReadFile(path, buf)
	}
	if f.More {
		cause = machine.TooBig
	}
	if cause != 0 {
		return nil, "reading " + flag + ": " + cause.Text()
	}
	return buf[:f.N], ""
}

// tlsProblem says why a handshake failed. It unwraps by hand: errors.As brings
// in reflection, which makes the binary 25 KB larger.
func tlsProblem(err error) string {
	for e := err; e != nil; e = errors.Unwrap(e) {
		switch e := e.(type) {
		case deadlineError:
			return timeoutText
		case tls.RecordHeaderError:
			return "TLS: the server does not speak TLS on this port"
		case x509.UnknownAuthorityError:
			return "TLS: the certificate is signed by an unknown authority; name its CA with --ca-file"
		case x509.CertificateInvalidError:
			if e.Reason == x509.Expired {
				return "TLS: the certificate has expired or is not yet valid"
			}
		case x509.HostnameError:
			return "TLS: the certificate is not for this name; set --server-name if another is right"
		case x509.SystemRootsError:
			return "TLS: this image has no CA certificates; name the CA with --ca-file"
		}
		if e == io.EOF {
			return "TLS: the server closed the connection"
		}
	}
	return "TLS: " + alertText(err)
}

// tlsStream makes a stream of an encrypted connection. It does so with
// functions instead of an interface because a type in an interface keeps all
// its methods in the binary, and those of its fields' types.
func tlsStream(conn *tls.Conn) stream {
	return stream{
		read: func(p []byte) (int, string) {
			n, err := conn.Read(p)
			if n > 0 || err == io.EOF { //nolint:errorlint // crypto/tls returns it bare
				return n, ""
			}
			return 0, streamProblem(err)
		},
		write: func(p []byte) string {
			_, err := conn.Write(p)
			return streamProblem(err)
		},
	}
}

func streamProblem(err error) string {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if _, ok := e.(deadlineError); ok {
			return timeoutText
		}
	}
	if err == nil {
		return ""
	}
	// With TLS 1.3 a server refuses a client certificate only after the client
	// has finished its handshake.
	return alertText(err)
}

// alertText words an error, above all an alert of the server.
func alertText(err error) string {
	const remote = "remote error: tls: "
	text := err.Error()
	if wire.HasPrefix(text, remote) {
		return "the server refused: " + text[len(remote):]
	}
	return text
}

// deadlineError is a timeout in net's sense, so that crypto/tls does not wrap
// it into something else.
type deadlineError struct{}

func (deadlineError) Error() string   { return timeoutText }
func (deadlineError) Timeout() bool   { return true }
func (deadlineError) Temporary() bool { return true }

// socketConn lets crypto/tls use the socket of a State. The State's deadline
// holds for every operation.
type socketConn struct{ s *State }

func (c *socketConn) Read(p []byte) (int, error) {
	n, cause := c.s.Socket.Read(p, c.s.deadline)
	if cause == 0 && n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, causeError(cause)
}

func (c *socketConn) Write(p []byte) (int, error) {
	if cause := c.s.Socket.Write(p, c.s.deadline); cause != 0 {
		return 0, causeError(cause)
	}
	return len(p), nil
}

func causeError(cause machine.Cause) error {
	switch {
	case cause == 0:
		return nil
	case cause == machine.TimedOut:
		return deadlineError{}
	}
	return errors.New(cause.Text())
}

func (c *socketConn) Close() error                     { return nil }
func (c *socketConn) LocalAddr() net.Addr              { return noAddr{} }
func (c *socketConn) RemoteAddr() net.Addr             { return noAddr{} }
func (c *socketConn) SetDeadline(time.Time) error      { return nil }
func (c *socketConn) SetReadDeadline(time.Time) error  { return nil }
func (c *socketConn) SetWriteDeadline(time.Time) error { return nil }

type noAddr struct{}

func (noAddr) Network() string { return "tcp" }
func (noAddr) String() string  { return "" }
