package collector

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
)

// KindHeartbeat is the kind of an alarm line by which a guard says that it is
// there. It is no alarm; that it stops is one.
const KindHeartbeat = alert.KindHeartbeat

const (
	flushBeats  = 5 * time.Second
	lookAround  = 10 * time.Second
	retainEvery = time.Hour
	downAfter   = 3 // failures of a sink, however quick
)

// beats are the newest signs of life that the store does not have yet.
type beats struct {
	mu      sync.Mutex
	seen    map[string]time.Time
	started time.Time
}

// beat notes a sign of life by the sender's clock: a copy of an old one is no
// news. Nonces of heartbeats are not kept.
func (c *Collector) beat(_ context.Context, a store.Alarm) error {
	if a.Timing != store.OnTime {
		c.metrics.reject(a.Channel, Stale)
		return Stale
	}
	c.beats.mu.Lock()
	defer c.beats.mu.Unlock()
	if a.At.After(c.beats.seen[a.Build]) {
		c.beats.seen[a.Build] = a.At
	}
	c.metrics.beats.Inc()
	return nil
}

func (c *Collector) flushBeats(ctx context.Context) {
	c.beats.mu.Lock()
	seen := c.beats.seen
	c.beats.seen = map[string]time.Time{}
	c.beats.mu.Unlock()
	if len(seen) == 0 {
		return
	}
	if err := c.store.Heartbeat(ctx, seen); err != nil {
		c.log.Error("heartbeats could not be stored", "error", err) // the next ones say the same
	}
}

// watch does what no message causes: it notices silence, failing sinks and
// waiting repeats, and removes what is old.
func (c *Collector) watch(ctx context.Context) {
	beat, look, retain := time.NewTicker(flushBeats), time.NewTicker(lookAround), time.NewTicker(retainEvery)
	defer beat.Stop()
	defer look.Stop()
	defer retain.Stop()
	for {
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.Background(), flushBeats)
			defer cancel()
			c.flushBeats(end)
			return
		case <-beat.C:
			c.flushBeats(ctx)
		case <-look.C:
			if err := c.Look(ctx); err != nil && ctx.Err() == nil {
				c.log.Error("silence and sinks could not be checked", "error", err)
			}
		case <-retain.C:
			removed, err := c.store.Retain(ctx, c.options.Retention, c.now())
			if err != nil && ctx.Err() == nil {
				c.log.Error("old alarms could not be removed", "error", err)
			} else if removed != (store.Removed{}) {
				c.log.Info("old rows removed", "alarms", removed.Alarms, "bodies", removed.Bodies, "incidents", removed.Incidents, "deliveries", removed.Deliveries)
			}
		}
	}
}

// Look raises and ends the collector's own alarms and queues repeats that are
// due. It runs every ten seconds by itself.
func (c *Collector) Look(ctx context.Context) error {
	c.flushBeats(ctx)
	open, err := c.store.ListIncidents(ctx, store.IncidentQuery{
		Kinds: []store.Kind{store.KindDead, store.KindSinkDown}, States: []store.State{store.Open, store.Acknowledged}, Limit: 10_000})
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, one := range open {
		known[string(one.Kind)+" "+one.Build+" "+one.Decoy] = true
	}
	if err := c.lookForDead(ctx, known); err != nil {
		return err
	}
	if err := c.lookAtSinks(ctx, known); err != nil {
		return err
	}
	if n, err := c.store.Notify(ctx, c.policy(c.now()), c.now()); err != nil {
		return err
	} else if n > 0 {
		c.outbox.Wake()
	}
	return nil
}

// lookForDead compares the last heartbeats with the clock. While the collector
// was down nobody could be heard, so its start counts as a sign of life.
func (c *Collector) lookForDead(ctx context.Context, known map[string]bool) error {
	if c.options.DeadAfter < 0 {
		return nil
	}
	canaries, err := c.store.Canaries(ctx)
	if err != nil {
		return err
	}
	now := c.now()
	for _, one := range canaries {
		if one.LastHeartbeat.IsZero() || one.Revoked {
			continue
		}
		heard := one.LastHeartbeat
		if heard.Before(c.beats.started) {
			heard = c.beats.started
		}
		a := store.Alarm{Kind: store.KindDead, Build: one.Build, Decoy: alert.Guard,
			Facts: map[string]string{"last heartbeat": one.LastHeartbeat.Format(time.RFC3339)}}
		dead := now.Sub(heard) > c.options.DeadAfter
		if err := c.self(ctx, a, dead, known, one.LastHeartbeat); err != nil {
			return err
		}
	}
	return nil
}

func (c *Collector) lookAtSinks(ctx context.Context, known map[string]bool) error {
	sinks, err := c.store.Sinks(ctx, c.now())
	if err != nil {
		return err
	}
	for _, s := range sinks {
		a := store.Alarm{Kind: store.KindSinkDown, Decoy: s.Name, Facts: map[string]string{"error": s.LastError, "waiting": fmt.Sprint(s.Pending)}}
		down := s.Failures >= downAfter && c.now().Sub(s.FailedSince) >= c.options.SinkDown
		if s.Failures > 0 && !down {
			continue // too early to say
		}
		since := s.FailedSince
		if !down {
			since = s.LastSuccess
		}
		if err := c.self(ctx, a, down, known, since); err != nil {
			return err
		}
	}
	return nil
}

// self opens or ends an alarm of the collector's own. The nonce says since
// when, so that several collectors that notice the same raise one alarm.
func (c *Collector) self(ctx context.Context, a store.Alarm, bad bool, known map[string]bool, since time.Time) error {
	if bad == known[string(a.Kind)+" "+a.Build+" "+a.Decoy] {
		return nil
	}
	a.Channel, a.Proof, a.Timing, a.At, a.Received = store.ChannelSelf, store.ProofKey, store.OnTime, c.now(), c.now()
	a.Nonce = fmt.Sprintf("%s-%s-%t-%d", a.Kind, a.Decoy, bad, since.UnixMicro())
	_, err := c.submit(ctx, store.Arrival{Alarm: a, Resolve: !bad})
	return err
}

// Ready fails while the store cannot write.
func (c *Collector) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return c.store.Ping(ctx)
}
