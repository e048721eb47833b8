package sink

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hardstand/hardstand/canary/collector/store"
)

type otlp struct {
	base
	url     string
	headers map[string]Secret
}

// openOTLP posts log records as OTLP/HTTP with JSON
// (opentelemetry.io/docs/specs/otlp, section on OTLP/HTTP). The URL is the
// receiver's; /v1/logs is added where it has no path.
func openOTLP(b base) (Sink, error) {
	var s struct {
		URL     string            `yaml:"url"`
		Headers map[string]Secret `yaml:"headers"`
	}
	if err := b.decode(&s); err != nil {
		return nil, err
	}
	u, err := address(s.URL)
	if err != nil {
		return nil, err
	}
	if rest := u[strings.Index(u, "://")+3:]; !strings.Contains(strings.TrimSuffix(rest, "/"), "/") {
		u = strings.TrimSuffix(u, "/") + "/v1/logs"
	}
	for name, ref := range s.Headers {
		if err := b.need("header "+name, ref); err != nil {
			return nil, err
		}
	}
	return &otlp{b, u, s.Headers}, nil
}

// Send exports one record.
func (o *otlp) Send(ctx context.Context, m store.Message) error {
	header := map[string]string{}
	for name, ref := range o.headers {
		value, err := o.Secret(ref)
		if err != nil {
			return err
		}
		header[name] = value
	}
	r, err := jsonRequest(o.url, header, o.export(m))
	if err != nil {
		return err
	}
	answer, err := o.web.do(ctx, r)
	if err != nil {
		return err
	}
	var partial struct {
		PartialSuccess struct {
			Rejected json.Number `json:"rejectedLogRecords"` // int64, a string in JSON
			Message  string      `json:"errorMessage"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(answer, &partial) == nil && partial.PartialSuccess.Rejected != "" && partial.PartialSuccess.Rejected != "0" {
		return final("the receiver rejected the log record: %s", cut(printable(partial.PartialSuccess.Message), maxExcerpt))
	}
	return nil
}

func (o *otlp) export(m store.Message) object {
	number, text := otlpSeverity(m)
	at := m.Incident.Last
	if at.IsZero() {
		at = o.Now()
	}
	record := object{
		"timeUnixNano": nano(at), "observedTimeUnixNano": nano(o.Now()),
		"severityNumber": number, "severityText": text, "eventName": "hardstand.canary." + eventType(m),
		"body": object{"stringValue": headline(m)}, "attributes": attributes("hardstand.", about(m)),
	}
	return object{"resourceLogs": []object{{
		"resource": object{"attributes": attributes("", map[string]string{"service.name": "hardstand-collector", "host.name": o.Hostname})},
		"scopeLogs": []object{{
			"scope":      object{"name": "github.com/hardstand/hardstand/canary/collector"},
			"logRecords": []object{record},
		}},
	}}}
}

func nano(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func attributes(prefix string, values map[string]string) []object {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	var out []object
	for _, name := range names {
		out = append(out, object{"key": prefix + name, "value": object{"stringValue": values[name]}})
	}
	return out
}

// otlpSeverity is the log data model's SeverityNumber.
func otlpSeverity(m store.Message) (int, string) {
	if m.Reason == store.ReasonResolved {
		return 9, "INFO"
	}
	switch m.Incident.Severity {
	case store.Critical:
		return 21, "FATAL"
	case store.High:
		return 17, "ERROR"
	case store.Medium:
		return 13, "WARN"
	case store.Low:
		return 10, "INFO2"
	}
	return 9, "INFO"
}
