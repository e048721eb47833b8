package sink

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hardstand/hardstand/canary/collector/store"
)

type webhook struct {
	base
	url  Secret
	keys []Secret
}

// openWebhook signs as Standard Webhooks 1.0 (standardwebhooks.com) says. With
// several keys each signs, so that one can be replaced by another.
func openWebhook(b base) (Sink, error) {
	var s struct {
		URL  Secret   `yaml:"url"`
		Keys []Secret `yaml:"keys"`
	}
	if err := b.decode(&s); err != nil {
		return nil, err
	}
	w := &webhook{b, s.URL, s.Keys}
	if err := b.need("url", s.URL); err != nil {
		return nil, err
	}
	if _, err := b.secretAddress(s.URL); err != nil {
		return nil, err
	}
	if len(s.Keys) == 0 {
		return nil, errors.New("keys is missing: a list of {file: PATH} or {env: NAME}, each whsec_ and 24 to 64 bytes in base64")
	}
	_, err := w.sign("", "", nil)
	return w, err
}

// Send posts {type, timestamp, data}.
func (w *webhook) Send(ctx context.Context, m store.Message) error {
	address, err := w.secretAddress(w.url)
	if err != nil {
		return err
	}
	now := w.Now()
	id := headerID(m.ID)
	r, err := jsonRequest(address, nil, object{"type": eventType(m), "timestamp": now.UTC().Format(time.RFC3339Nano), "data": m})
	if err != nil {
		return err
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	signature, err := w.sign(id, stamp, r.Body)
	if err != nil {
		return err
	}
	r.Header["Webhook-Id"] = id
	r.Header["Webhook-Timestamp"] = stamp
	r.Header["Webhook-Signature"] = signature
	_, err = w.web.do(ctx, r)
	return err
}

func (w *webhook) sign(id, stamp string, body []byte) (string, error) {
	var all []string
	for _, ref := range w.keys {
		text, err := w.Secret(ref)
		if err != nil {
			return "", err
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
		if err != nil || len(key) < 24 || len(key) > 64 {
			return "", errors.New("read secret: a webhook key is whsec_ and 24 to 64 bytes in base64")
		}
		mac := hmac.New(sha256.New, key)
		_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(all, " "), nil
}

// headerID is a message's identity as a header may hold it.
func headerID(id string) string { return token5424(id, 256) }

// eventType names what happened for systems.
func eventType(m store.Message) string { return "incident." + string(m.Reason) }

type cloudEvents struct {
	base
	url    string
	bearer Secret
	source string
}

// openCloudEvents sends structured events (CloudEvents 1.0, HTTP binding).
func openCloudEvents(b base) (Sink, error) {
	var s struct {
		URL    string `yaml:"url"`
		Bearer Secret `yaml:"bearer-token"`
		Source string `yaml:"source"`
	}
	if err := b.decode(&s); err != nil {
		return nil, err
	}
	u, err := address(s.URL)
	if err != nil {
		return nil, err
	}
	if s.Source == "" {
		s.Source = "/hardstand/collector/" + token5424(b.Hostname, 200)
	}
	if !s.Bearer.IsZero() {
		err = b.need("bearer-token", s.Bearer)
	}
	return &cloudEvents{b, u, s.Bearer, s.Source}, err
}

// Send posts one event. Source and id are its identity.
func (c *cloudEvents) Send(ctx context.Context, m store.Message) error {
	header := map[string]string{"Content-Type": "application/cloudevents+json; charset=utf-8"}
	if !c.bearer.IsZero() {
		token, err := c.Secret(c.bearer)
		if err != nil {
			return err
		}
		header["Authorization"] = "Bearer " + token
	}
	event := object{
		"specversion": "1.0", "id": m.ID, "source": c.source, "type": "com.github.hardstand.canary." + eventType(m),
		"datacontenttype": "application/json", "data": m,
		"severity": m.Incident.Severity.String(), "dedupkey": m.Incident.DedupKey,
	}
	if m.Incident.DedupKey != "" {
		event["subject"] = m.Incident.DedupKey
	}
	if !m.Incident.Last.IsZero() {
		event["time"] = m.Incident.Last.UTC().Format(time.RFC3339Nano)
	}
	r, err := jsonRequest(c.url, header, event)
	if err != nil {
		return err
	}
	_, err = c.web.do(ctx, r)
	return err
}

type falcosidekick struct {
	base
	url string
}

// openFalcosidekick posts Falco's JSON, which falcosidekick takes at / and
// passes on to its outputs.
func openFalcosidekick(b base) (Sink, error) {
	var s struct {
		URL string `yaml:"url"`
	}
	if err := b.decode(&s); err != nil {
		return nil, err
	}
	u, err := address(s.URL)
	if err != nil {
		return nil, err
	}
	return &falcosidekick{b, u}, nil
}

// Send posts one event.
func (f *falcosidekick) Send(ctx context.Context, m store.Message) error {
	output := map[string]any{}
	for k, v := range about(m) {
		output["hardstand."+k] = v
	}
	if m.Incident.Container != "" {
		output["container.id"] = m.Incident.Container
	}
	if m.Incident.Image != "" {
		output["container.image.repository"] = printable(m.Incident.Image)
	}
	at := m.Incident.Last
	if at.IsZero() {
		at = f.Now()
	}
	r, err := jsonRequest(f.url, nil, object{
		"uuid": uuid(m.ID), "output": headline(m), "priority": falcoPriority(m), "rule": "hardstand canary " + string(m.Incident.Kind),
		"time": at.UTC().Format(time.RFC3339Nano), "source": "hardstand", "hostname": f.Hostname,
		"tags": []string{"canary", string(m.Incident.Kind)}, "output_fields": output,
	})
	if err != nil {
		return err
	}
	_, err = f.web.do(ctx, r)
	return err
}

func falcoPriority(m store.Message) string {
	if m.Reason == store.ReasonResolved {
		return "Notice"
	}
	switch m.Incident.Severity {
	case store.Critical:
		return "Critical"
	case store.High:
		return "Error"
	case store.Medium:
		return "Warning"
	case store.Low:
		return "Notice"
	}
	return "Informational"
}

// uuid derives a UUID (RFC 9562 version 8) from a message's identity, so that
// a repeat has the same.
func uuid(id string) string {
	sum := sha256.Sum256([]byte("hardstand message\x00" + id))
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

type stdout struct {
	base
	mu sync.Mutex
}

func openStdout(b base) (Sink, error) {
	if err := b.decode(&struct{}{}); err != nil {
		return nil, err
	}
	return &stdout{base: b}, nil
}

// Send writes the message as one line of JSON.
func (s *stdout) Send(_ context.Context, m store.Message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return final("encode message: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err = s.Stdout.Write(append(line, '\n'))
	return wrap("write message", err)
}
