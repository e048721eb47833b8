// Package sink tells people and systems about incidents. A Sink sends one
// message, once, and says whether another attempt makes sense; queues, backoff
// and health are its caller's.
//
// Whatever text comes from an intruder (titles, arguments, names) is written
// in the receiver's own escaped form, so that an alarm cannot mention a whole
// channel, start a header or hide what follows it.
package sink

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/hardstand/hardstand/canary/collector/store"
)

// Sink is one place that is told. Send may be called at once from several
// goroutines; it returns nil once the far side has taken the message. The same
// message may be sent again after a crash: receivers recognise it by
// Message.ID and all of an incident's by Incident.DedupKey.
type Sink interface {
	Name() string
	Send(context.Context, store.Message) error
}

// Error says how an attempt failed.
type Error struct {
	Status int           // HTTP or SMTP status; 0 where there was none
	Final  bool          // the same message will be refused again
	After  time.Duration // the far side asked to wait so long; 0 where it did not
	Err    error
}

// Error returns the cause.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Final says that the same message will be refused again, so that only a
// change of the configuration helps.
func Final(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Final
}

// After returns how long the far side asked to wait, or 0.
func After(err error) time.Duration {
	var e *Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.After
}

// maxAfter bounds what a far side may ask for.
const maxAfter = time.Hour

// retryAfter reads RFC 9110 section 10.2.3: seconds (Discord sends fractions)
// or a date.
func retryAfter(header string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseFloat(header, 64); err == nil {
		if seconds > maxAfter.Seconds() {
			return maxAfter
		}
		wait = time.Duration(seconds * float64(time.Second))
	} else if at, err := http.ParseTime(header); err == nil {
		wait = at.Sub(now)
	}
	return max(0, min(wait, maxAfter))
}

// asError is errors.As for *Error.
func asError(err error, e **Error) bool { return errors.As(err, e) }

func final(format string, args ...any) error {
	return &Error{Final: true, Err: fmt.Errorf(format, args...)}
}
