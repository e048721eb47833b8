package secret

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// defaultTimeout bounds one reading of a secret.
const defaultTimeout = 30 * time.Second

// retryAfter is how soon a failed refresh is repeated, if that is sooner than
// the next one.
const retryAfter = 10 * time.Second

// Options are the settings of Open. Only Sources are needed, and Parse for types
// other than string and []byte.
type Options[T any] struct {
	Sources []Source // asked in order
	// Parse makes the secret's value of its bytes, which it must not keep. The
	// text of its error is not shown, because it may quote the secret.
	Parse func([]byte) (T, error)
	// Refresh is how often the secret is read again; 0: never by itself. It
	// varies by a tenth, so that a fleet does not ask in step.
	Refresh time.Duration
	// OnRotate is called after a reading found another value. It runs on the
	// goroutine that read, under no lock, and must not call Close.
	OnRotate func(old, now Value[T])
	// MaxAge is how old the last good reading may get before Check fails; 0:
	// three times Refresh, and no limit without it.
	MaxAge  time.Duration
	Timeout time.Duration // of one reading; 0: 30 seconds
	Logger  *slog.Logger  // of rotations and failed readings; nil: slog.Default
}

// Secret is a secret that is kept up to date.
type Secret[T any] struct {
	name string
	o    Options[T]

	held atomic.Pointer[held[T]]
	fail atomic.Pointer[error] // of the latest reading

	mu     sync.Mutex // one reading at a time
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
}

type held[T any] struct {
	value Value[T]
	sum   [sha256.Size]byte
	from  string
	at    time.Time
}

// Open reads the secret and keeps it up to date until Close. name is what errors
// and logs call it.
func Open[T any](ctx context.Context, name string, o Options[T]) (*Secret[T], error) {
	if o.Parse == nil {
		parse, err := defaultParse[T]()
		if err != nil {
			return nil, fmt.Errorf("open secret %s: %w", name, err)
		}
		o.Parse = parse
	}
	if o.Refresh < 0 || o.MaxAge < 0 || o.Timeout < 0 {
		return nil, fmt.Errorf("open secret %s: a duration is negative", name)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxAge == 0 {
		o.MaxAge = 3 * o.Refresh
	}
	s := &Secret[T]{name: name, o: o, done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.Refresh(ctx); err != nil {
		s.cancel()
		return nil, err
	}
	if o.Refresh > 0 {
		go s.loop()
	} else {
		close(s.done)
	}
	return s, nil
}

func defaultParse[T any]() (func([]byte) (T, error), error) {
	var parse any
	switch any(*new(T)).(type) {
	case string:
		parse = func(b []byte) (string, error) { return string(b), nil }
	case []byte:
		parse = func(b []byte) ([]byte, error) { return append([]byte(nil), b...), nil }
	}
	f, ok := parse.(func([]byte) (T, error))
	if !ok {
		return nil, fmt.Errorf("type %T needs Options.Parse", *new(T))
	}
	return f, nil
}

// Get returns the latest value that was read.
func (s *Secret[T]) Get() Value[T] { return s.held.Load().value }

// From names the source that the value came from.
func (s *Secret[T]) From() string { return s.held.Load().from }

// Age returns how long ago the value was last read and found valid.
func (s *Secret[T]) Age() time.Duration { return time.Since(s.held.Load().at) }

// Check is a health check: it fails when the value is older than MaxAge, which
// is when readings have been failing for long.
func (s *Secret[T]) Check(context.Context) error {
	age := s.Age()
	if s.o.MaxAge == 0 || age <= s.o.MaxAge {
		return nil
	}
	err := fmt.Errorf("secret %s was last read %v ago, maximum age %v", s.name, age.Round(time.Second), s.o.MaxAge)
	if cause := s.fail.Load(); cause != nil {
		err = fmt.Errorf("%w: %w", err, *cause)
	}
	return err
}

// Refresh reads the secret now. When that fails, the value stays as it was.
func (s *Secret[T]) Refresh(ctx context.Context) error {
	s.mu.Lock()
	old, now, err := s.read(ctx)
	s.mu.Unlock()
	if err != nil {
		s.fail.Store(&err)
		return err
	}
	s.fail.Store(nil)
	if old != nil && old.sum != now.sum {
		s.rotated(old, now)
	}
	return nil
}

func (s *Secret[T]) read(ctx context.Context) (old, now *held[T], err error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	raw, from, err := first(ctx, s.name, s.o.Sources)
	if err != nil {
		return nil, nil, err
	}
	defer clear(raw)
	old = s.held.Load()
	now = &held[T]{sum: sha256.Sum256(raw), from: from.String(), at: time.Now()}
	if old != nil && old.sum == now.sum {
		now.value = old.value
	} else if now.value, err = s.parse(raw, now.from); err != nil {
		return nil, nil, err
	}
	s.held.Store(now)
	return old, now, nil
}

var errForm = errors.New("the value does not have the form the program expects")

func (s *Secret[T]) parse(raw []byte, from string) (v Value[T], err error) {
	defer func() {
		if recover() != nil { // its text may quote the secret
			err = fmt.Errorf("parse secret %s from %s: Options.Parse panicked", s.name, from)
		}
	}()
	t, err := s.o.Parse(raw)
	if err != nil {
		return v, fmt.Errorf("parse secret %s from %s: %w", s.name, from, errForm)
	}
	return NewValue(t), nil
}

func (s *Secret[T]) rotated(old, now *held[T]) {
	s.logger().Info("secret rotated", "secret", s.name, "from", now.from)
	if s.o.OnRotate == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			s.logger().Error("secret listener panicked", "secret", s.name, "type", fmt.Sprintf("%T", v))
		}
	}()
	s.o.OnRotate(old.value, now.value)
}

func (s *Secret[T]) logger() *slog.Logger {
	if s.o.Logger != nil {
		return s.o.Logger
	}
	return slog.Default()
}

func (s *Secret[T]) loop() {
	defer close(s.done)
	for wait := s.interval(); ; {
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = s.interval()
		if err := s.Refresh(s.ctx); err != nil && s.ctx.Err() == nil {
			s.logger().Error("secret not refreshed", "secret", s.name, "err", err)
			wait = min(wait, retryAfter)
		}
	}
}

func (s *Secret[T]) interval() time.Duration {
	return time.Duration(float64(s.o.Refresh) * (0.9 + 0.2*rand.Float64()))
}

// Close ends refreshing and waits for a reading under way, whose context ends.
// Get keeps returning the last value.
func (s *Secret[T]) Close() {
	s.cancel()
	<-s.done
}
