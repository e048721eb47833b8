package collector

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// Server limits: a client that dawdles loses its connection, and one that
// holds many idle ones loses the oldest when a new one comes.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
	graceful      = 10 * time.Second
	// MaxConnections are open at once where Listen says nothing else.
	MaxConnections = 16_384
)

// Listen says where to serve HTTPS.
type Listen struct {
	Address        string
	Certificate    *Certificate // nil: plain HTTP, behind a proxy that ends TLS
	MaxConnections int
	Browsers       bool // visitors are people: no client certificate is asked for
	Log            *slog.Logger
	Ready          func(net.Addr) // called once the socket is open; may be nil
}

// Serve serves handler until ctx ends.
func Serve(ctx context.Context, l Listen, handler http.Handler) error {
	socket, err := net.Listen("tcp", l.Address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if l.Ready != nil {
		l.Ready(socket.Addr())
	}
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	idle := &idleConnections{limit: l.MaxConnections}
	if idle.limit <= 0 {
		idle.limit = MaxConnections
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ConnState: idle.state, ErrorLog: log.New(debugWriter{l.Log}, "", 0),
	}
	if l.Certificate != nil {
		// A client certificate is asked for and not verified: some credential
		// files hold one, and its key is the identity.
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: l.Certificate.Get, ClientAuth: tls.RequestClientCert}
		if l.Browsers {
			server.TLSConfig.ClientAuth = tls.NoClientCert
		}
	}
	ended := make(chan error, 1)
	go func() {
		if l.Certificate != nil {
			ended <- server.ServeTLS(socket, "", "")
		} else {
			ended <- server.Serve(socket)
		}
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve %s: %w", l.Address, err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceful)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		server.Close() // what is still open after the grace is cut
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// debugWriter takes what net/http says of broken clients.
type debugWriter struct{ log *slog.Logger }

func (w debugWriter) Write(p []byte) (int, error) {
	w.log.Debug("connection", "error", string(p))
	return len(p), nil
}

// idleConnections closes the connection that has waited longest when there are
// too many. One that is in a request is not closed; its time is limited.
type idleConnections struct {
	limit int

	mu      sync.Mutex
	open    int
	waiting list.List // of net.Conn, the longest first
	places  map[net.Conn]*list.Element
}

func (i *idleConnections) state(conn net.Conn, s http.ConnState) {
	i.mu.Lock()
	var victim net.Conn
	if i.places == nil {
		i.places = map[net.Conn]*list.Element{}
	}
	switch s {
	case http.StateNew:
		i.open++
		i.enter(conn)
		if i.open > i.limit {
			if first := i.waiting.Front(); first != nil {
				victim = first.Value.(net.Conn)
				i.leave(victim)
			}
		}
	case http.StateIdle:
		i.enter(conn)
	case http.StateActive:
		i.leave(conn)
	case http.StateClosed, http.StateHijacked:
		i.open--
		i.leave(conn)
	}
	i.mu.Unlock()
	if victim != nil {
		victim.Close()
	}
}

func (i *idleConnections) enter(conn net.Conn) {
	i.leave(conn)
	i.places[conn] = i.waiting.PushBack(conn)
}

func (i *idleConnections) leave(conn net.Conn) {
	if place := i.places[conn]; place != nil {
		i.waiting.Remove(place)
		delete(i.places, conn)
	}
}

// Certificate is read from files and again when they change. While a new pair
// cannot be read, the old one serves on.
type Certificate struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	checked time.Time
	stamp   [2]time.Time
}

const reloadAfter = time.Second

// LoadCertificate reads a PEM pair.
func LoadCertificate(cert, key string, log *slog.Logger) (*Certificate, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Certificate{cert: cert, key: key, log: log}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Certificate) load() error {
	stamp := c.stamps()
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("load certificate: %w", err)
	}
	c.current, c.stamp = &pair, stamp
	return nil
}

func (c *Certificate) stamps() (stamp [2]time.Time) {
	for i, file := range []string{c.cert, c.key} {
		if info, err := os.Stat(file); err == nil { // follows the links by which Kubernetes swaps secrets
			stamp[i] = info.ModTime()
		}
	}
	return stamp
}

// Get is tls.Config.GetCertificate.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) > reloadAfter {
		c.checked = now
		if c.stamps() != c.stamp {
			if err := c.load(); err != nil {
				c.log.Error("certificate was not reloaded", "error", err)
			} else {
				c.log.Info("certificate was reloaded", "file", c.cert)
			}
		}
	}
	return c.current, nil
}
