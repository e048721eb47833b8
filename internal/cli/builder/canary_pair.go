package builder

import (
	"errors"
	"io"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
)

// trip is what one execution of a decoy left in a log: one alarm, or tier A's
// and tier B's.
type trip struct {
	alert.Alarm
	First *alert.Alarm // tier A's, if Alarm is tier B's
}

// pairWait is how long an alarm of tier A waits for that of tier B before it is
// shown alone, where the log is still being written.
const pairWait = time.Second

// pair reads alarms with next, until io.EOF, and passes trips on.
func pair(next func() (alert.Alarm, error), show func(trip) error) error {
	type read struct {
		alarm alert.Alarm
		err   error
	}
	alarms := make(chan read)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			a, err := next()
			select {
			case alarms <- read{a, err}:
			case <-stop:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	var waiting []alert.Alarm
	release := func() (err error) {
		for _, a := range waiting {
			err = errors.Join(err, show(trip{Alarm: a}))
		}
		waiting = nil
		return err
	}
	for {
		select {
		case <-time.After(pairWait):
			if err := release(); err != nil {
				return err
			}
		case r := <-alarms:
			if r.err != nil {
				err := release()
				if !errors.Is(r.err, io.EOF) {
					err = errors.Join(err, r.err)
				}
				return err
			}
			var err error
			if waiting, err = place(waiting, r.alarm, show); err != nil {
				return err
			}
		}
	}
}

// maxWaiting bounds the alarms of tier A that wait.
const maxWaiting = 64

// place shows an alarm, with the one that it completes, or lets it wait.
func place(waiting []alert.Alarm, a alert.Alarm, show func(trip) error) ([]alert.Alarm, error) {
	if a.Verdict != alert.Verified {
		return waiting, show(trip{Alarm: a})
	}
	for i, first := range waiting {
		if a.Event.Completes(first.Event) {
			return append(waiting[:i:i], waiting[i+1:]...), show(trip{Alarm: a, First: &first})
		}
	}
	if a.Event.Uptime != 0 || a.Event.Kind != "" {
		return waiting, show(trip{Alarm: a})
	}
	if waiting = append(waiting, a); len(waiting) <= maxWaiting {
		return waiting, nil
	}
	return waiting[1:], show(trip{Alarm: waiting[0]})
}
