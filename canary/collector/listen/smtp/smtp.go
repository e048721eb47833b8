// Package smtp is a submission server that takes no mail and recognises planted
// passwords in AUTH (RFC 4954).
package smtp

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/hardstand/hardstand/canary/collector/listen"
	"github.com/hardstand/hardstand/canary/collector/store"
)

// Listener answers connections.
type Listener struct {
	Book   *listen.Book
	Report listen.Report
	TLS    *tls.Config // nil: STARTTLS is not offered
	Domain string      // in the greeting; "mail" where empty
	// Failed is told of reports that failed; may be nil.
	Failed func(error)
}

var (
	errCredentials = &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "Error: authentication failed: authentication failure"}
	errFirst       = &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
)

// Serve answers connections of a listener until ctx ends. Limits of addresses
// and connections are listen.Server's; those of lines and times are set here.
func (l *Listener) Serve(ctx context.Context, listener net.Listener, limits listen.Server) error {
	handler := &oneConn{conns: make(chan net.Conn), done: make(chan struct{}), address: listener.Addr()}
	server := smtp.NewServer(backend{l})
	server.Domain = l.Domain
	if server.Domain == "" {
		server.Domain = "mail"
	}
	server.TLSConfig = l.TLS
	server.AllowInsecureAuth = true // it is the planted secret that we want to see
	server.MaxLineLength, server.MaxRecipients, server.MaxMessageBytes = 2000, 1, 1024
	server.ReadTimeout, server.WriteTimeout = 20*time.Second, 20*time.Second
	server.ErrorLog = quiet{}
	finished := make(chan struct{})
	go func() { defer close(finished); _ = server.Serve(handler) }()
	err := limits.Serve(ctx, listener, handler.hand)
	close(handler.done)
	_ = server.Close()
	<-finished
	return err
}

// oneConn is a net.Listener that is fed by listen.Server.
type oneConn struct {
	conns   chan net.Conn
	done    chan struct{}
	address net.Addr
}

// hand gives a connection to go-smtp and waits for its end, so that it is
// counted as long as it lives.
func (o *oneConn) hand(ctx context.Context, conn net.Conn) error {
	closed := &closing{Conn: conn, closed: make(chan struct{})}
	select {
	case o.conns <- closed:
	case <-ctx.Done():
		return nil
	}
	select {
	case <-closed.closed:
	case <-ctx.Done():
	}
	return nil
}

func (o *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-o.conns:
		return c, nil
	case <-o.done:
		return nil, net.ErrClosed
	}
}
func (o *oneConn) Close() error   { return nil }
func (o *oneConn) Addr() net.Addr { return o.address }

type closing struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

func (c *closing) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

type backend struct{ *Listener }

// NewSession begins a session.
func (b backend) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{b.Listener, c}, nil
}

type session struct {
	*Listener
	conn *smtp.Conn
}

// AuthMechanisms offered.
func (s *session) AuthMechanisms() []string { return []string{sasl.Plain, sasl.Login} }

// Auth looks at user and password and refuses both.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, user, password string) error { return s.check(user, password) }), nil
	case sasl.Login:
		return &login{check: s.check}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

func (s *session) check(user, password string) error {
	entry, proof := s.Book.Bearer(password), store.ProofSecret
	if entry == nil {
		if entry = s.Book.User(user); entry != nil && !entry.Holds(password) {
			proof = store.ProofNone
		}
	}
	if entry != nil {
		source := listen.Source(s.conn.Conn().RemoteAddr().String())
		err := s.Report.Send(context.Background(), entry.Observation(proof, source, map[string]string{"protocol": "SMTP", "user": user, "client": s.conn.Hostname()}))
		if err != nil && s.Failed != nil {
			s.Failed(err)
		}
	}
	return errCredentials
}

// Mail and what follows it needs authentication, which nobody gets.
func (s *session) Mail(string, *smtp.MailOptions) error { return errFirst }

// Rcpt refuses.
func (s *session) Rcpt(string, *smtp.RcptOptions) error { return errFirst }

// Data refuses.
func (s *session) Data(io.Reader) error { return errFirst }

// Reset has nothing to forget.
func (s *session) Reset() {}

// Logout ends a session.
func (s *session) Logout() error { return nil }

// login is AUTH LOGIN (draft-murchison-sasl-login): user, then password. The
// user may come with the command.
type login struct {
	check func(user, password string) error
	asked bool
	user  *string
}

// Next takes an answer.
func (l *login) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case response == nil && !l.asked:
		l.asked = true
		return []byte("Username:"), false, nil
	case l.user == nil:
		user := string(response)
		l.user = &user
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(*l.user, string(response))
}
