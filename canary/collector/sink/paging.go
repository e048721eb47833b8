package sink

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hardstand/hardstand/canary/collector/store"
)

type pagerDuty struct {
	base
	url string
	key Secret
}

// openPagerDuty sends to the Events API v2
// (developer.pagerduty.com/docs/events-api-v2/trigger-events).
func openPagerDuty(b base) (Sink, error) {
	var s struct {
		URL string `yaml:"url"`
		Key Secret `yaml:"routing-key"`
	}
	if err := b.decode(&s); err != nil {
		return nil, err
	}
	u, err := address(cmp.Or(s.URL, "https://events.pagerduty.com/v2/enqueue"))
	if err != nil {
		return nil, err
	}
	return &pagerDuty{b, u, s.Key}, b.need("routing-key", s.Key)
}

// Send triggers or resolves the incident's alert.
func (p *pagerDuty) Send(ctx context.Context, m store.Message) error {
	key, err := p.Secret(p.key)
	if err != nil {
		return err
	}
	i := m.Incident
	event := object{"routing_key": key, "event_action": "trigger", "dedup_key": cut(i.DedupKey, 255)}
	if m.Reason == store.ReasonResolved {
		event["event_action"] = "resolve"
	} else {
		event["client"] = "hardstand"
		payload := object{
			"summary":  cut(headline(m), 1024),
			"source":   cmp.Or(printable(i.Source), printable(i.Container), printable(i.Image), "collector"),
			"severity": pagerSeverity(i.Severity), "component": i.Decoy, "group": cmp.Or(i.Image, i.Build), "class": string(i.Kind),
			"custom_details": about(m),
		}
		if !i.Last.IsZero() {
			payload["timestamp"] = i.Last.UTC().Format(time.RFC3339Nano)
		}
		event["payload"] = payload
		if m.Link != "" {
			event["client_url"] = m.Link
			event["links"] = []object{{"href": m.Link, "text": "Open incident"}}
		}
	}
	r, err := jsonRequest(p.url, nil, event)
	if err != nil {
		return err
	}
	_, err = p.web.do(ctx, r)
	return err
}

func pagerSeverity(s store.Severity) string {
	switch s {
	case store.Critical:
		return "critical"
	case store.High:
		return "error"
	case store.Medium, store.Low:
		return "warning"
	}
	return "info"
}

type opsgenie struct {
	base
	url string
	key Secret
}

// openOpsgenie uses the Alert API (docs.opsgenie.com/docs/alert-api), which
// Jira Service Management speaks as well.
func openOpsgenie(b base) (Sink, error) {
	var s struct {
		URL string `yaml:"url"`
		Key Secret `yaml:"api-key"`
	}
	if err := b.decode(&s); err != nil {
		return nil, err
	}
	u, err := address(cmp.Or(s.URL, "https://api.opsgenie.com"))
	if err != nil {
		return nil, err
	}
	return &opsgenie{b, strings.TrimSuffix(u, "/"), s.Key}, b.need("api-key", s.Key)
}

// Send creates or closes the alert whose alias is the incident's key.
func (o *opsgenie) Send(ctx context.Context, m store.Message) error {
	key, err := o.Secret(o.key)
	if err != nil {
		return err
	}
	header := map[string]string{"Authorization": "GenieKey " + key}
	i := m.Incident
	alias := cut(i.DedupKey, 512)
	if m.Reason == store.ReasonResolved {
		r, err := jsonRequest(o.url+"/v2/alerts/"+url.PathEscape(alias)+"/close?identifierType=alias", header, object{"source": "hardstand", "note": cut(headline(m), 25000)})
		if err != nil {
			return err
		}
		_, err = o.web.do(ctx, r)
		if e := new(Error); asError(err, &e) && e.Status == http.StatusNotFound {
			return nil // somebody closed or deleted it
		}
		return err
	}
	r, err := jsonRequest(o.url+"/v2/alerts", header, object{
		"message": cut(headline(m), 130), "alias": alias, "description": cut(plain(m), 15000),
		"priority": opsgeniePriority(i.Severity), "entity": cut(cmp.Or(i.Image, i.Build), 512), "source": "hardstand",
		"tags": []string{"canary", string(i.Kind)}, "details": about(m),
	})
	if err != nil {
		return err
	}
	_, err = o.web.do(ctx, r)
	return err
}

func opsgeniePriority(s store.Severity) string {
	switch s {
	case store.Critical:
		return "P1"
	case store.High:
		return "P2"
	case store.Medium:
		return "P3"
	case store.Low:
		return "P4"
	}
	return "P5"
}

type alertmanager struct {
	base
	url      string
	hold     time.Duration
	username string
	password Secret
	bearer   Secret
}

// openAlertmanager posts to the API v2 (its api/v2/openapi.yaml).
func openAlertmanager(b base) (Sink, error) {
	var s struct {
		URL      string        `yaml:"url"`
		Hold     time.Duration `yaml:"hold"`
		Username string        `yaml:"username"`
		Password Secret        `yaml:"password"`
		Bearer   Secret        `yaml:"bearer-token"`
	}
	if err := b.decode(&s); err != nil {
		return nil, err
	}
	u, err := address(s.URL)
	if err != nil {
		return nil, err
	}
	if s.Username != "" {
		err = b.need("password", s.Password)
	} else if !s.Bearer.IsZero() {
		err = b.need("bearer-token", s.Bearer)
	}
	return &alertmanager{b, strings.TrimSuffix(u, "/") + "/api/v2/alerts", cmp.Or(s.Hold, 4*time.Hour), s.Username, s.Password, s.Bearer}, err
}

// Send posts the alert. Alertmanager recognises an alert by all its labels,
// and people route by severity: when that rose, the alert with the lower one
// is ended in the same request.
func (a *alertmanager) Send(ctx context.Context, m store.Message) error {
	now := a.Now().UTC()
	end := now.Add(a.hold)
	if m.Reason == store.ReasonResolved {
		end = now
	}
	alerts := []object{alertmanagerAlert(m, m.Incident.Severity, end)}
	if m.Reason == store.ReasonEscalated {
		for s := store.Info; s < m.Incident.Severity; s++ {
			alerts = append(alerts, alertmanagerAlert(m, s, now))
		}
	}
	r, err := jsonRequest(a.url, nil, alerts)
	if err != nil {
		return err
	}
	r.Sign = func(req *http.Request, _ []byte) error { return a.authorize(req) }
	_, err = a.web.do(ctx, r)
	return err
}

func (a *alertmanager) authorize(req *http.Request) error {
	switch {
	case a.username != "":
		password, err := a.Secret(a.password)
		if err != nil {
			return err
		}
		req.SetBasicAuth(a.username, password)
	case !a.bearer.IsZero():
		token, err := a.Secret(a.bearer)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return nil
}

func alertmanagerAlert(m store.Message, s store.Severity, end time.Time) object {
	i := m.Incident
	labels := map[string]string{
		"alertname": "HardstandCanary", "incident": i.DedupKey, "severity": s.String(), "kind": string(i.Kind), "decoy": i.Decoy,
		"build": i.Build, "image": i.Image, "owner": i.Owner, "route": i.Route, "container": i.Container, "pod": i.Pod,
	}
	for k, v := range labels {
		if v = printable(v); v == "" {
			delete(labels, k)
			continue
		}
		labels[k] = v
	}
	alert := object{
		"labels":      labels,
		"annotations": map[string]string{"summary": headline(m), "description": plain(m)},
		"endsAt":      end.Format(time.RFC3339Nano),
	}
	if !i.First.IsZero() {
		alert["startsAt"] = i.First.UTC().Format(time.RFC3339Nano)
	}
	if m.Link != "" {
		alert["generatorURL"] = m.Link
	}
	return alert
}
