package sink

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hardstand/hardstand/canary/collector/store"
)

// printable makes text a single line in which nothing is hidden: control and
// formatting characters (which turn the direction of writing, or join and hide
// others) appear as their escapes.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == utf8.RuneError:
			b.WriteString(`\ufffd`)
		case r == ' ' || unicode.IsGraphic(r) && !unicode.Is(unicode.Zs, r):
			b.WriteRune(r)
		case r == '\n', r == '\r', r == '\t':
			b.WriteByte(' ')
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
	}
	return b.String()
}

// cut shortens text to at most n bytes without breaking a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const mark = "…"
	end := max(0, n-len(mark))
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}

// field is a named value for people.
type field struct{ name, value string }

// headline is the one line that says what happened.
func headline(m store.Message) string {
	prefix := strings.ToUpper(m.Incident.Severity.String())
	switch m.Reason {
	case store.ReasonResolved:
		prefix = "RESOLVED"
	case store.ReasonEscalated:
		prefix += " (raised)"
	}
	if m.Incident.Kind == store.KindDrill {
		prefix = "DRILL"
	}
	return prefix + ": " + printable(m.Incident.Title)
}

// fields are what a responder asks first, in that order; empty ones are left
// out. Values are printable, at most 300 bytes.
func fields(m store.Message) []field {
	i := m.Incident
	list := []field{
		{"What", i.Decoy},
		{"Command", command(m.Alarm)},
		{"From", i.Source},
		{"Origin", origin(i.Origin)},
		{"Called by", i.Parent},
		{"Image", i.Image},
		{"Digest", i.Digest},
		{"Owner", i.Owner},
		{"Container", cut(i.Container, 15)},
		{"Pod", i.Pod},
		{"Proof", proof(i.Proof)},
		{"Hits", hits(i)},
		{"First", clock(i.First)},
		{"Last", clock(i.Last)},
	}
	out := list[:0]
	for _, f := range list {
		if f.value = cut(printable(f.value), 300); f.value != "" {
			out = append(out, f)
		}
	}
	return out
}

func command(a *store.Alarm) string {
	if a == nil || a.Event == nil {
		return ""
	}
	return strings.Join(a.Event.Argv, " ")
}

func origin(o string) string {
	switch o {
	case "inside":
		return "inside the container: the application or something below it"
	case "outside":
		return "outside the container: docker exec, kubectl exec"
	}
	return o
}

func proof(p store.Proof) string {
	switch p {
	case store.ProofKey:
		return "signature"
	case store.ProofSecret:
		return "the secret itself"
	case store.ProofName:
		return "short code in a DNS name"
	case store.ProofNone:
		return "none: may be a guess"
	}
	return string(p)
}

func hits(i store.Incident) string {
	if i.Count < 2 {
		return ""
	}
	return fmt.Sprint(i.Count)
}

func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// plain is the message as lines of text.
func plain(m store.Message) string {
	var b strings.Builder
	b.WriteString(headline(m) + "\n\n")
	for _, f := range fields(m) {
		fmt.Fprintf(&b, "%-10s %s\n", f.name, f.value)
	}
	if m.Link != "" {
		b.WriteString("\n" + m.Link + "\n")
	}
	return b.String()
}

// about maps names of other systems' fields to values, without empty ones.
func about(m store.Message) map[string]string {
	i := m.Incident
	all := map[string]string{
		"kind": string(i.Kind), "severity": i.Severity.String(), "decoy": i.Decoy, "build": i.Build,
		"image": i.Image, "digest": i.Digest, "owner": i.Owner, "container": i.Container, "pod": i.Pod,
		"parent": i.Parent, "origin": i.Origin, "source": i.Source, "proof": string(i.Proof),
		"count": fmt.Sprint(i.Count), "reason": string(m.Reason), "dedup_key": i.DedupKey, "message_id": m.ID,
		"argv": command(m.Alarm), "link": m.Link,
	}
	for k, v := range all {
		if v = cut(printable(v), 1024); v == "" {
			delete(all, k)
			continue
		}
		all[k] = v
	}
	return all
}
