package collector

import (
	"context"
	"errors"
	"time"

	"github.com/hardstand/hardstand/canary/collector/store"
)

// ErrOverloaded: more alarms wait than can be stored soon. The sender keeps
// its alarm and tries again.
var ErrOverloaded = errors.New("collector is overloaded: try again in a second")

const (
	waiting      = 1024             // arrivals that may wait; at 5,000 a second, 200 ms
	batchSize    = 512              // arrivals of one transaction
	commitWithin = 30 * time.Second // of one transaction
)

type result struct {
	outcome store.Outcome
	err     error
}

type pending struct {
	arrival store.Arrival
	done    chan result
}

// submit stores one arrival with others in one transaction, and returns when
// it is on disk. When ctx ends first, whether it was stored stays open.
func (c *Collector) submit(ctx context.Context, a store.Arrival) (store.Outcome, error) {
	a.Overflow = a.Alarm.Kind != store.KindDrill && !c.shares.take(a.Alarm.Build, a.Alarm.Received)
	p := pending{a, make(chan result, 1)}
	select {
	case c.queue <- p:
	default:
		return store.Outcome{}, ErrOverloaded
	}
	select {
	case r := <-p.done:
		return r.outcome, r.err
	case <-ctx.Done():
		return store.Outcome{}, ctx.Err()
	case <-c.ended:
		return store.Outcome{}, store.ErrClosed
	}
}

// commitAll is the only writer of alarms: while one transaction is on its way
// to the disk, the next one's arrivals gather.
func (c *Collector) commitAll(ctx context.Context) {
	defer close(c.ended)
	for {
		var batch []pending
		select {
		case <-ctx.Done():
			return
		case p := <-c.queue:
			batch = append(batch, p)
		}
		for more := true; more && len(batch) < batchSize; {
			select {
			case p := <-c.queue:
				batch = append(batch, p)
			default:
				more = false
			}
		}
		c.commit(batch)
	}
}

// commit is not interrupted by the collector's end: what was taken in is
// written. One arrival that the database refuses must not cost the others.
func (c *Collector) commit(batch []pending) {
	arrivals := make([]store.Arrival, len(batch))
	for i, p := range batch {
		arrivals[i] = p.arrival
	}
	ctx, cancel := context.WithTimeout(context.Background(), commitWithin)
	defer cancel()
	began := time.Now()
	outcomes, err := c.store.Commit(ctx, arrivals, c.policy(c.now()))
	c.metrics.committed(len(batch), time.Since(began), err)
	if err != nil && len(batch) > 1 && ctx.Err() == nil {
		for _, p := range batch {
			c.commit([]pending{p})
		}
		return
	}
	for i, p := range batch {
		r := result{err: err}
		if err == nil {
			r.outcome = outcomes[i]
		}
		p.done <- r
	}
	if err == nil {
		c.outbox.Wake()
	}
}
