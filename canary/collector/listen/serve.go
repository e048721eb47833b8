package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Server bounds what peers of a TCP listener can take. The zero value works.
type Server struct {
	MaxConns  int           // at once; 512 where 0
	PerSource int           // at once of one address (IPv6: one /64); 16 where 0
	Lifetime  time.Duration // of a connection; 30 s where 0
	// Failed is told what a connection ended with; nil: nothing is told.
	Failed func(error)
}

// Serve gives each connection to handle, with a deadline, until ctx ends; then
// it closes all and waits for them. Connections beyond the limits are closed
// at once.
func (s Server) Serve(ctx context.Context, listener net.Listener, handle func(context.Context, net.Conn) error) error {
	if s.MaxConns == 0 {
		s.MaxConns = 512
	}
	if s.PerSource == 0 {
		s.PerSource = 16
	}
	if s.Lifetime == 0 {
		s.Lifetime = 30 * time.Second
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	seats := &seats{free: s.MaxConns, per: s.PerSource, taken: map[netip.Prefix]int{}}
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			var temporary net.Error
			if errors.As(err, &temporary) {
				select {
				case <-ctx.Done():
				case <-time.After(50 * time.Millisecond): // out of descriptors
				}
				continue
			}
			return err
		}
		source := sourceOf(conn)
		if !seats.take(source) {
			_ = conn.Close()
			continue
		}
		running.Go(func() {
			defer seats.leave(source)
			s.one(ctx, conn, handle)
		})
	}
}

func (s Server) one(ctx context.Context, conn net.Conn, handle func(context.Context, net.Conn) error) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	err := conn.SetDeadline(time.Now().Add(s.Lifetime))
	if err == nil {
		err = handle(ctx, conn)
	}
	if err != nil && s.Failed != nil && ctx.Err() == nil {
		s.Failed(err)
	}
}

// seats counts connections, in all and by source.
type seats struct {
	mu    sync.Mutex
	free  int
	per   int
	taken map[netip.Prefix]int
}

func (s *seats) take(p netip.Prefix) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free == 0 || s.taken[p] >= s.per {
		return false
	}
	s.free--
	s.taken[p]++
	return true
}

func (s *seats) leave(p netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	if s.taken[p]--; s.taken[p] == 0 {
		delete(s.taken, p)
	}
}

func sourceOf(conn net.Conn) netip.Prefix {
	address, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{}
	}
	ip := address.Addr().Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits)
	return p
}
