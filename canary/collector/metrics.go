package collector

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hardstand/hardstand/canary/collector/store"
)

// metrics are for Prometheus. No label holds text of a sender: channels,
// reasons, kinds and sinks are ours, and builds are those of the register.
type metrics struct {
	received, rejected, stored *prometheus.CounterVec
	duplicates, late, overflow prometheus.Counter
	beats                      prometheus.Counter
	commitTime, commitSize     prometheus.Histogram
	attempts                   *prometheus.CounterVec
	waited                     *prometheus.HistogramVec

	collector *Collector
	gauges    map[string]*prometheus.Desc
}

const scrapeTimeout = 5 * time.Second

func newMetrics(r prometheus.Registerer, c *Collector) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "hardstand_collector", Name: name, Help: help})
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "hardstand_collector", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("hardstand_collector_"+name, help, labels, nil)
	}
	m := &metrics{
		received:   vector("received_total", "Messages that came in, genuine or not.", "channel"),
		rejected:   vector("rejected_total", "Messages that were not taken in.", "channel", "reason"),
		stored:     vector("stored_total", "Alarms on disk.", "channel", "kind"),
		duplicates: counter("duplicates_total", "Alarms that were known already: retries, other channels, replays."),
		late:       counter("late_total", "Authentic alarms whose clock was outside the window."),
		overflow:   counter("overflow_total", "Alarms over their image's share: counted in the incident, not kept."),
		beats:      counter("heartbeats_total", "Heartbeats of guards."),
		commitTime: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "hardstand_collector", Name: "commit_seconds",
			Help: "Time of a transaction.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
		commitSize: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "hardstand_collector", Name: "commit_alarms",
			Help: "Alarms of a transaction.", Buckets: prometheus.ExponentialBuckets(1, 2, 10)}),
		attempts: vector("deliveries_total", "Attempts to tell a sink.", "sink", "result"),
		waited: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "hardstand_collector", Name: "delivery_seconds",
			Help: "From stored to taken by the sink.", Buckets: prometheus.ExponentialBuckets(0.005, 2.5, 14)}, []string{"sink"}),
		collector: c,
		gauges: map[string]*prometheus.Desc{
			"queue":     gauge("queue", "Alarms that wait for a transaction."),
			"incidents": gauge("incidents_open", "Incidents that nobody has acknowledged."),
			"pending":   gauge("outbox_pending", "Messages that wait for a sink.", "sink"),
			"oldest":    gauge("outbox_oldest_seconds", "Age of the oldest message that waits.", "sink"),
			"failures":  gauge("sink_failures", "Failures since the last success.", "sink"),
			"heartbeat": gauge("last_heartbeat_timestamp_seconds", "Last heartbeat of a build in the register.", "build"),
			"drill":     gauge("last_drill_timestamp_seconds", "Last drill of a build in the register.", "build"),
		},
	}
	if r != nil {
		r.MustRegister(m.received, m.rejected, m.stored, m.duplicates, m.late, m.overflow, m.beats, m.commitTime, m.commitSize, m.attempts, m.waited, m)
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range m.gauges {
		to <- d
	}
}

// Collect implements prometheus.Collector: it asks the store.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	c := m.collector
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	send := func(name string, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(m.gauges[name], prometheus.GaugeValue, value, labels...)
	}
	send("queue", float64(len(c.queue)))
	if stats, err := c.store.Stats(ctx); err == nil {
		send("incidents", float64(stats.OpenIncidents))
	}
	if sinks, err := c.store.Sinks(ctx, c.now()); err == nil {
		for _, s := range sinks {
			send("pending", float64(s.Pending), s.Name)
			send("failures", float64(s.Failures), s.Name)
			age := 0.0
			if !s.OldestDue.IsZero() {
				age = c.now().Sub(s.OldestDue).Seconds()
			}
			send("oldest", age, s.Name)
		}
	}
	if canaries, err := c.store.Canaries(ctx); err == nil {
		for _, one := range canaries {
			if !one.LastHeartbeat.IsZero() {
				send("heartbeat", float64(one.LastHeartbeat.Unix()), one.Build)
			}
			if !one.LastDrill.IsZero() {
				send("drill", float64(one.LastDrill.Unix()), one.Build)
			}
		}
	}
}

func (m *metrics) receive(channel store.Channel) { m.received.WithLabelValues(string(channel)).Inc() }

// reject counts by reason. What is not the sender's fault has reasons of its
// own.
func (m *metrics) reject(channel store.Channel, err error) {
	reason := "failed"
	var why Rejection
	switch {
	case errors.As(err, &why):
		reason = string(why)
	case errors.Is(err, ErrOverloaded):
		reason = "overloaded"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		reason = "gone"
	}
	m.rejected.WithLabelValues(string(channel), reason).Inc()
}

func (m *metrics) take(a store.Alarm, overflow bool, out store.Outcome) {
	switch {
	case out.Duplicate:
		m.duplicates.Inc()
		return
	case overflow:
		m.overflow.Inc()
		return
	}
	m.stored.WithLabelValues(string(a.Channel), string(a.Kind)).Inc()
	if a.Timing != store.OnTime {
		m.late.Inc()
	}
}

func (m *metrics) committed(n int, took time.Duration, err error) {
	if err == nil {
		m.commitTime.Observe(took.Seconds())
		m.commitSize.Observe(float64(n))
	}
}

func (m *metrics) sent(sink string, _, waited time.Duration, err error) {
	result := "taken"
	if err != nil {
		result = "failed"
	} else {
		m.waited.WithLabelValues(sink).Observe(waited.Seconds())
	}
	m.attempts.WithLabelValues(sink, result).Inc()
}
