package alert

import (
	"strconv"
)

// A decoy links this encoder and not encoding/json: it must start fast, and
// its output must be one line of printable ASCII whatever the intruder put in
// argv.
type encoder struct {
	buf       []byte
	maxString int // bytes of one string
	maxItems  int // items of one list
	cut       bool
}

const hexDigits = "0123456789abcdef"

// appendEvent appends e as a JSON object and says whether something was cut.
func appendEvent(buf []byte, e *Event, maxString, maxItems int) ([]byte, bool) {
	w := &encoder{buf: append(buf, '{'), maxString: maxString, maxItems: maxItems}
	w.text("build", e.Build)
	w.text("decoy", e.Decoy)
	w.text("key", e.KeyID)
	w.text("nonce", e.Nonce.String())
	w.optionalText("kind", e.Kind)
	w.number("time", e.Time)
	w.optional("uptime", e.Uptime)
	w.optionalText("boot", e.BootID)
	w.optional("init", int64(e.InitStart))
	w.optional("n", int64(e.Count))
	w.optionalText("on", e.OnTrip)
	w.optionalText("latch", e.Latch)
	w.optionalText("origin", e.Origin)
	w.optionalText("path", e.Path)
	w.texts("argv", e.Argv)
	w.optionalText("cwd", e.Cwd)
	w.number("uid", int64(e.UID))
	w.number("euid", int64(e.EUID))
	w.number("gid", int64(e.GID))
	w.optional("pid", int64(e.PID))
	w.number("ppid", int64(e.PPID))
	w.peers("peers", e.Peers)
	w.processes("ancestors", e.Ancestors)
	w.peers("guess", e.Guess)
	w.optionalText("host", e.Host)
	w.optionalText("container", e.Container)
	w.optionalText("pod", e.Pod)
	w.optional("seccomp", int64(e.Seccomp))
	w.flag("nnp", e.NoNewPrivs)
	w.optionalText("caps", e.CapEff)
	w.optional("tracer", int64(e.Tracer))
	w.texts("env", e.Env)
	w.flag("truncated", e.Truncated || w.cut)
	return append(w.buf, '}'), w.cut
}

func (w *encoder) name(name string) {
	if c := w.buf[len(w.buf)-1]; c != '{' && c != '[' {
		w.buf = append(w.buf, ',')
	}
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, '"', ':')
}

func (w *encoder) number(name string, n int64) {
	w.name(name)
	w.buf = strconv.AppendInt(w.buf, n, 10)
}

func (w *encoder) optional(name string, n int64) {
	if n != 0 {
		w.number(name, n)
	}
}

func (w *encoder) flag(name string, set bool) {
	if set {
		w.name(name)
		w.buf = append(w.buf, "true"...)
	}
}

func (w *encoder) text(name, s string) {
	w.name(name)
	w.quote(s)
}

func (w *encoder) optionalText(name, s string) {
	if s != "" {
		w.text(name, s)
	}
}

func (w *encoder) texts(name string, list []string) {
	if len(list) == 0 {
		return
	}
	w.name(name)
	w.buf = append(w.buf, '[')
	for i, s := range list {
		if i == w.maxItems {
			w.cut = true
			break
		}
		w.comma()
		w.quote(s)
	}
	w.buf = append(w.buf, ']')
}

func (w *encoder) processes(name string, list []Process) {
	if len(list) == 0 {
		return
	}
	w.name(name)
	w.buf = append(w.buf, '[')
	for i, p := range list {
		if i == w.maxItems {
			w.cut = true
			break
		}
		w.comma()
		w.buf = append(w.buf, '{')
		w.number("pid", int64(p.PID))
		w.optionalText("comm", p.Comm)
		w.optionalText("exe", p.Exe)
		w.texts("argv", p.Argv)
		w.buf = append(w.buf, '}')
	}
	w.buf = append(w.buf, ']')
}

func (w *encoder) peers(name string, list []Peer) {
	if len(list) == 0 {
		return
	}
	w.name(name)
	w.buf = append(w.buf, '[')
	for i, p := range list {
		if i == w.maxItems {
			w.cut = true
			break
		}
		w.comma()
		w.buf = append(w.buf, '{')
		w.number("fd", int64(p.FD))
		w.text("remote", p.Remote)
		w.optionalText("local", p.Local)
		w.buf = append(w.buf, '}')
	}
	w.buf = append(w.buf, ']')
}

func (w *encoder) comma() {
	if w.buf[len(w.buf)-1] != '[' {
		w.buf = append(w.buf, ',')
	}
}

// quote writes s as ASCII. The slash is escaped so that Prefix cannot occur
// inside a line; bytes that are no UTF-8 become U+FFFD.
func (w *encoder) quote(s string) {
	w.buf = append(w.buf, '"')
	start := len(w.buf)
	for _, r := range s {
		if len(w.buf)-start >= w.maxString {
			w.cut = true
			break
		}
		switch {
		case r == '"' || r == '\\' || r == '/':
			w.buf = append(w.buf, '\\', byte(r))
		case r >= 0x20 && r < 0x7f:
			w.buf = append(w.buf, byte(r))
		case r >= 0x10000:
			r -= 0x10000
			w.escape(0xd800 + r>>10)
			w.escape(0xdc00 + r&0x3ff)
		default:
			w.escape(r)
		}
	}
	w.buf = append(w.buf, '"')
}

func (w *encoder) escape(r rune) {
	w.buf = append(w.buf, '\\', 'u',
		hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
