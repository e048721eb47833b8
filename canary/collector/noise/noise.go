// Package noise decides how loud an alarm is and which alarms tell one story:
// pure functions, no store and no clock.
package noise

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
)

// Severity is concluded from what is proven and where it came from. An
// execution inside the container means that the application itself was taken
// over; one from outside, that somebody has the engine or the cluster; a name
// that was resolved may be an echo.
func Severity(a *store.Alarm) store.Severity {
	switch a.Kind {
	case store.KindDrill:
		return store.Info
	case store.KindDead, store.KindSinkDown:
		return store.High
	case store.KindToken:
		return tokenSeverity(a)
	case store.KindRule:
		return ruleSeverity(a.Facts["priority"])
	}
	if a.Proof != store.ProofKey || a.Event == nil {
		return store.Low
	}
	switch a.Event.Kind {
	case alert.KindRead, alert.KindPipe, alert.KindForged:
		return store.High
	case alert.KindExec:
		return store.High // not a decoy: a program that was not on the guard's list
	}
	if a.Event.Origin == alert.FromOutside {
		return store.High
	}
	return store.Critical
}

func tokenSeverity(a *store.Alarm) store.Severity {
	switch {
	case a.Channel == store.ChannelDNS:
		return store.Low
	case a.Proof == store.ProofKey || a.Proof == store.ProofSecret:
		return store.Critical
	}
	return store.Medium
}

// ruleSeverity maps Falco's priorities. Nobody authenticates them, so none is
// critical.
func ruleSeverity(priority string) store.Severity {
	switch strings.ToLower(priority) {
	case "emergency", "alert", "critical", "error":
		return store.High
	case "warning":
		return store.Medium
	case "notice":
		return store.Low
	}
	return store.Info
}

// Keys of the group an alarm belongs to. Strict is the full identity; Loose
// leaves container and caller out. An alarm that knows neither (tier A writes
// only who and when) has an empty Strict and joins whatever is open under
// Loose.
type Keys struct{ Strict, Loose string }

// Group returns the keys of an alarm.
func Group(a *store.Alarm) Keys {
	switch a.Kind {
	case store.KindDrill:
		return same(hash("drill", a.Build, a.Nonce))
	case store.KindDecoy:
		loose := hash("decoy", a.Build, a.Decoy)
		if a.Event == nil || a.Event.Container == "" && a.Event.Host == "" && len(a.Event.Ancestors) == 0 {
			return Keys{Loose: loose}
		}
		return Keys{Strict: hash("decoy", a.Build, a.Decoy, container(a.Event), Parent(a)), Loose: loose}
	case store.KindRule:
		return same(hash("rule", a.Decoy, a.Facts["container.id"]))
	case store.KindToken:
		host := a.Source
		if at := strings.LastIndexByte(host, ':'); at >= 0 {
			host = host[:at] // another port is another connection of the same person
		}
		return same(hash("token", a.Build, a.Decoy, host))
	}
	return same(hash(string(a.Kind), a.Build, a.Decoy))
}

func same(key string) Keys { return Keys{Strict: key, Loose: key} }

func container(e *alert.Event) string {
	if e.Container != "" {
		return e.Container
	}
	return e.Host
}

// hash keeps parts apart by their length.
func hash(parts ...string) string {
	text := make([]byte, 0, 512)
	for _, p := range parts {
		text = strconv.AppendInt(text, int64(len(p)), 10)
		text = append(append(text, ':'), p...)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// Parent is the program of the nearest ancestor, or "".
func Parent(a *store.Alarm) string {
	if a.Event == nil || len(a.Event.Ancestors) == 0 {
		return Clean(a.Facts["proc.pname"], 256)
	}
	p := a.Event.Ancestors[0]
	if p.Exe != "" {
		return Clean(p.Exe, 256)
	}
	return Clean(p.Comm, 256)
}

// Argv is the command line with blanks between, as ignore rules match it.
func Argv(a *store.Alarm) string {
	if a.Event != nil {
		return strings.Join(a.Event.Argv, " ")
	}
	return a.Facts["proc.cmdline"]
}

// Source is the best knowledge of where somebody came from: with a reverse
// shell the far end of an inherited socket, otherwise the sender.
func Source(a *store.Alarm) string {
	if a.Event != nil {
		for _, p := range a.Event.Peers {
			if p.Remote != "" {
				return Clean(p.Remote, 128)
			}
		}
		return "" // the sender is the container itself
	}
	return a.Source
}

// Title is one printable line.
func Title(a *store.Alarm, image string) string {
	where := image
	if where == "" {
		where = a.Build
	}
	text := ""
	switch a.Kind {
	case store.KindDrill:
		text = "drill: " + a.Decoy + " in " + where
	case store.KindToken:
		text = "credential " + a.Decoy + " of " + where + " was used"
	case store.KindRule:
		text = "rule: " + a.Decoy
	case store.KindDead:
		text = "no sign of life from " + where
	case store.KindSinkDown:
		text = "sink " + a.Decoy + " takes no messages"
	default:
		text = decoyTitle(a, where)
	}
	return Clean(text, 200)
}

func decoyTitle(a *store.Alarm, where string) string {
	if a.Event == nil {
		return "decoy " + a.Decoy + " in " + where + " (name resolved)"
	}
	switch a.Event.Kind {
	case alert.KindExec:
		return "unexpected program " + a.Event.Path + " in " + where
	case alert.KindDenied:
		return "program " + a.Event.Path + " refused in " + where
	case alert.KindRead:
		return "watched file " + a.Event.Path + " opened in " + where
	case alert.KindPipe:
		return "credential pipe " + a.Event.Path + " read in " + where
	case alert.KindForged:
		return "forged alarms offered to the guard of " + where
	}
	how := "executed in "
	if a.Event.Origin == alert.FromOutside {
		how = "executed from outside in "
	}
	return "decoy " + a.Decoy + " " + how + where
}

// Ignored says whether a rule matches an alarm of an image. Only alarms of
// decoys and Falco can be ignored.
func Ignored(r *store.IgnoreRule, a *store.Alarm, image string, now time.Time) bool {
	if a.Kind != store.KindDecoy && a.Kind != store.KindRule || !r.Until.IsZero() && now.After(r.Until) {
		return false
	}
	set := false
	for _, one := range [...]struct{ pattern, text string }{
		{r.Image, image}, {r.Parent, Parent(a)}, {r.Argv, Argv(a)}, {r.Decoy, a.Decoy},
	} {
		if one.pattern == "" {
			continue
		}
		set = true
		if !Match(one.pattern, one.text) {
			return false
		}
	}
	return set
}

// Muted says whether a mute covers an incident now.
func Muted(m *store.Mute, i *store.Incident, now time.Time) bool {
	if i.Kind == store.KindDrill || now.Before(m.From) || !now.Before(m.Until) {
		return false
	}
	set := false
	for _, one := range [...]struct{ pattern, text string }{
		{m.Build, i.Build}, {m.Image, i.Image}, {m.Decoy, i.Decoy}, {m.DedupKey, i.DedupKey},
	} {
		if one.pattern == "" {
			continue
		}
		set = true
		if one.pattern != one.text {
			return false
		}
	}
	return set
}

// Match is path.Match where "*" also matches slashes.
func Match(pattern, text string) bool {
	swap := strings.NewReplacer("/", "\x01")
	ok, err := path.Match(swap.Replace(pattern), swap.Replace(text))
	return ok && err == nil
}

// CheckPattern says whether Match can use a pattern.
func CheckPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("pattern %q: %w", pattern, err)
	}
	return nil
}

// Clean makes foreign text printable and at most limit bytes long. Databases
// refuse what is no UTF-8 or holds NUL, and one row must not stop a batch.
func Clean(s string, limit int) string {
	plain := len(s) <= limit
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] >= 0x20 && s[i] < 0x7f
	}
	if plain {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '\uFFFD'
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
