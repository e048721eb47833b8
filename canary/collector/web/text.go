package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hardstand/hardstand/canary/collector/store"
)

func (d *Dashboard) functions() template.FuncMap {
	return template.FuncMap{
		"show": show, "argv": argv, "severity": severity, "stamp": stamp, "asset": asset, "proof": proof, "origin": origin,
		"ago":    func(t time.Time) template.HTML { return ago(t, d.Now()) },
		"until":  func(t time.Time) template.HTML { return ago(t, d.Now()) },
		"silent": func(c store.Canary) bool { return silent(c, d.Now()) },
		"past":   func(t time.Time) bool { return !t.IsZero() && t.Before(d.Now()) },
		"short":  short,
		"join":   strings.Join,
		"day":    func(t time.Time) string { return t.Format("Monday, 2 January 2006") },
		"since":  func(first, last time.Time) string { return span(last.Sub(first)) },
	}
}

// show writes an intruder's text: escaped, isolated from the direction of
// what surrounds it, and with every character that would be invisible, or
// would change how others look, named in its place.
func show(s string) template.HTML {
	var b strings.Builder
	b.WriteString("<bdi>")
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `<span class="odd">\x%02x</span>`, s[0])
		case r == ' ' || unicode.IsGraphic(r) && !unicode.In(r, unicode.Zs, unicode.Mn, unicode.Me):
			b.WriteString(template.HTMLEscapeString(s[:size]))
		default:
			fmt.Fprintf(&b, `<span class="odd">U+%04X</span>`, r)
		}
		s = s[size:]
	}
	b.WriteString("</bdi>")
	return template.HTML(b.String()) // every part is escaped above
}

// argv writes arguments so that one with blanks is told from two.
func argv(list []string) template.HTML {
	var b strings.Builder
	for i, a := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\$`|&;<>()*?[]#~") {
			b.WriteString(`<span class="quote">'</span>` + string(show(a)) + `<span class="quote">'</span>`)
			continue
		}
		b.WriteString(string(show(a)))
	}
	return template.HTML(b.String()) // show escapes
}

// shapes tell severities apart without colour: the worse, the more corners
// catch the eye. Drawn in a field of 20 by 20.
var shapes = map[store.Severity]string{
	store.Critical: `<path d="M6 1h8l5 5v8l-5 5H6l-5-5V6z"/><path class="cut" d="M9 5h2v6H9zM9 13h2v2H9z"/>`,
	store.High:     `<path d="M10 1l9.5 17H.5z"/><path class="cut" d="M9 7h2v5H9zM9 14h2v2H9z"/>`,
	store.Medium:   `<path d="M10 1l9 9-9 9-9-9z"/>`,
	store.Low:      `<circle cx="10" cy="10" r="8"/>`,
	store.Info:     `<circle class="ring" cx="10" cy="10" r="7"/>`,
}

func severity(s store.Severity) template.HTML {
	name := s.String()
	return template.HTML(`<span class="severity ` + name + `"><svg viewBox="0 0 20 20" aria-hidden="true">` + shapes[s] + `</svg>` + strings.ToUpper(name[:1]) + name[1:] + `</span>`)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// ago is a time as distance, with the time itself for machines and as title.
func ago(t, now time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	text := span(now.Sub(t)) + " ago"
	if d := t.Sub(now); d > 0 {
		text = "in " + span(d)
	} else if now.Sub(t) < 5*time.Second {
		text = "just now"
	}
	return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339) + `" title="` + stamp(t) + `">` + text + `</time>`)
}

func span(d time.Duration) string {
	unit := func(n int, name string) string {
		if n == 1 {
			return "1 " + name
		}
		return fmt.Sprintf("%d %ss", n, name)
	}
	switch {
	case d < time.Minute:
		return unit(int(d.Seconds()), "second")
	case d < time.Hour:
		return unit(int(d.Minutes()), "minute")
	case d < 48*time.Hour:
		return unit(int(d.Hours()), "hour")
	}
	return unit(int(d.Hours()/24), "day")
}

func short(s string) string {
	if _, digits, found := strings.Cut(s, "sha256:"); found {
		s = digits
	}
	return s[:min(len(s), 12)]
}

func proof(p store.Proof) string {
	switch p {
	case store.ProofKey:
		return "signature: only the holder of the key can make it"
	case store.ProofSecret:
		return "the secret itself was shown"
	case store.ProofName:
		return "short code in a DNS name; a resolver may have repeated it"
	case store.ProofNone:
		return "none: the name alone, which may be a guess"
	}
	return "not recorded"
}

func origin(o string) string {
	switch o {
	case "inside":
		return "inside the container: the application, or something below it"
	case "outside":
		return "outside the container, as with docker exec or kubectl exec"
	}
	return "not known"
}

// asset is the address of a file, with a hash so that browsers keep it.
func asset(name string) (string, error) {
	text, err := fs.ReadFile(staticFiles, "static/"+name)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return "/static/" + name + "?" + hex.EncodeToString(sum[:6]), nil
}
