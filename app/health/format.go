package health

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// kinds are the media types of the formats; see typeDocker.
var kinds = [...][]string{
	Docker:     typeDocker,
	HealthJSON: {"application/health+json"},
	Text:       {"text/plain; charset=utf-8"},
}

func (p *report) write(f Format, verbose bool) []byte {
	switch f {
	case HealthJSON:
		return p.healthJSON()
	case Text:
		return p.text(verbose)
	}
	return p.dockerJSON()
}

func newBody(text []byte) *body { return &body{text, []string{strconv.Itoa(len(text))}} }

func (p *report) dockerJSON() []byte {
	failing := map[string]string{}
	if p.draining != "" {
		failing["shutdown"] = p.draining
	}
	for i := range p.checks {
		if c := &p.checks[i]; c.level == Fail && !c.excluded && p.detail > Never {
			failing[c.Name] = p.output(c)
		}
	}
	return marshal(failing)
}

// The objects of draft-inadarei-api-health-check-06, section 3 and 4.
type healthDocument struct {
	Status string                   `json:"status"`
	Output string                   `json:"output,omitempty"`
	Checks map[string][]healthCheck `json:"checks,omitempty"`
}

type healthCheck struct {
	Status        string   `json:"status"`
	Time          string   `json:"time,omitempty"`
	Output        string   `json:"output,omitempty"`
	ObservedValue *float64 `json:"observedValue,omitempty"` // of the last run
	ObservedUnit  string   `json:"observedUnit,omitempty"`
}

func (p *report) healthJSON() []byte {
	doc := healthDocument{Status: p.state.String(), Output: p.draining}
	if p.detail > Never {
		doc.Checks = map[string][]healthCheck{}
	}
	for i := range p.checks {
		c := &p.checks[i]
		if c.excluded || p.detail == Never {
			continue
		}
		entry := healthCheck{Status: c.level.String()}
		if !c.LastRun.IsZero() {
			entry.Time = stamp(c.LastRun)
		}
		if c.level != Pass {
			entry.Output = p.output(c)
		}
		if p.detail == Full && c.Took > 0 {
			ms := float64(c.Took.Microseconds()) / 1000
			entry.ObservedValue, entry.ObservedUnit = &ms, "ms"
		}
		doc.Checks[c.Name] = append(doc.Checks[c.Name], entry)
	}
	return marshal(doc)
}

// text writes what the API server of Kubernetes does: "ok" for a healthy group
// unless more is asked for, else a line a check and the verdict.
func (p *report) text(verbose bool) []byte {
	if p.state != Fail && !verbose {
		return []byte("ok")
	}
	var b strings.Builder
	for i := range p.checks {
		if p.detail > Never {
			b.WriteString(p.line(&p.checks[i]))
		}
	}
	if p.draining != "" {
		fmt.Fprintf(&b, "[-]shutdown failed: %s\n", oneLine(p.draining))
	}
	if len(p.unknown) > 0 {
		fmt.Fprintf(&b, "warn: some health checks cannot be excluded: no matches for %q\n", p.unknown)
	}
	verdict := "passed"
	if p.state == Fail {
		verdict = "failed"
	}
	fmt.Fprintf(&b, "%s check %s\n", p.name, verdict)
	return []byte(b.String())
}

func (p *report) line(c *reported) string {
	switch {
	case c.excluded:
		return fmt.Sprintf("[+]%s excluded: ok\n", oneLine(c.Name))
	case c.level == Fail:
		return fmt.Sprintf("[-]%s failed: %s\n", oneLine(c.Name), oneLine(p.output(c)))
	case c.level == Warn:
		return fmt.Sprintf("[!]%s warning: %s\n", oneLine(c.Name), oneLine(p.output(c)))
	}
	return fmt.Sprintf("[+]%s ok\n", oneLine(c.Name))
}

// oneLine keeps an error's text from forging lines of a report.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == 0x85 || c == 0x2028 || c == 0x2029 {
			return ' '
		}
		return c
	}, s)
}

func marshal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil { // maps, strings and numbers always marshal
		return []byte("{}")
	}
	return text
}
