// Package option reads the probe's command line and environment into the
// checks to perform. It also reads the command lines of lprobe and
// grpc_health_probe.
//
// It neither allocates nor panics, because it also runs before the Go runtime
// has started (docs/probe-fast-path.md). It knows no environment but the one it
// is given.
package option

import (
	"unsafe"

	"github.com/hardstand/hardstand/probe/internal/check"
	"github.com/hardstand/hardstand/probe/internal/wire"
)

// Limits of a command line.
const (
	MaxChecks = 16
	// MaxExpanded bounds the text that $NAME expansion produces in total.
	MaxExpanded = 16 << 10
)

// Defaults.
const (
	DefaultTimeout  = 3e9 // nanoseconds
	DefaultInterval = 500e6
	DefaultPort     = 8080
	DefaultAgent    = "hardstand-probe"
)

// Compat says whose command line it is.
type Compat uint8

// Command lines.
const (
	Native Compat = iota
	Lprobe
	GRPCHealthProbe
)

// Action is what a command line asks for.
type Action uint8

// Actions.
const (
	RunChecks Action = iota
	ShowHelp
	ShowVersion
)

// Memory is what Parse writes to besides Options. It is apart because it is
// large and mostly never touched.
type Memory struct {
	Checks   [MaxChecks]check.Check
	expanded [MaxExpanded]byte
}

// Options is a parsed command line. Its strings point into the arguments, the
// environment and Memory.
type Options struct {
	Action   Action
	Compat   Compat
	NChecks  int
	Timeout  int64 // nanoseconds for one attempt of one check
	Wait     int64 // nanoseconds to keep trying; 0: one attempt
	Interval int64 // nanoseconds between attempts
	Detailed bool  // exit codes of grpc_health_probe
	Verbose  bool
	JSON     bool

	env       []string
	set       uint32 // flags given for defaults, by bit
	port      uint16
	nExpanded int
	badPort   string // variable whose port is malformed
	problem   Problem
	peer      peerOptions
	defaults  check.Check
	sets      [MaxChecks]uint32
	Checks    *[MaxChecks]check.Check
	expanded  *[MaxExpanded]byte
}

// Problem is why a command line was refused.
type Problem struct {
	Name string // the flag, variable or target as given
	Why  string
}

// OK reports whether there is no problem.
func (p *Problem) OK() bool { return p.Why == "" }

// Put appends the problem as "invalid NAME: why".
func (p *Problem) Put(w *wire.Buffer) {
	w.Str("invalid ")
	w.Str(p.Name)
	w.Str(": it ")
	w.Str(p.Why)
}

// Parse reads the command line args, of which the first is the program's name,
// in the environment env ("NAME=value"). Both must stay unchanged as long as o
// is used; o must be zero.
func (o *Options) Parse(args, env []string, m *Memory) Problem {
	o.env, o.Checks, o.expanded = env, &m.Checks, &m.expanded
	o.Timeout, o.Interval = DefaultTimeout, DefaultInterval
	o.defaults.UserAgent = DefaultAgent
	o.port = DefaultPort
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	o.Compat = compatOf(name)
	if len(args) > 0 && o.Compat == Native {
		args = o.compatFlag(args)
	}
	if o.Compat != Native {
		o.parsePeer(args)
		return o.problem
	}
	if o.environment() && o.arguments(args) && o.Action == RunChecks {
		o.finish()
	}
	return o.problem
}

// refuse records the first problem and returns false.
//
//go:noinline
func (o *Options) refuse(name, why string) bool {
	if o.problem.OK() {
		o.problem = Problem{Name: name, Why: why}
	}
	return false
}

// compatOf tells from the program's name whose command line follows.
func compatOf(name string) Compat {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '/' {
			name = name[i+1:]
			break
		}
	}
	switch {
	case name == "lprobe":
		return Lprobe
	case wire.HasPrefix(name, "grpc_health_probe"), wire.HasPrefix(name, "grpc-health-probe"):
		return GRPCHealthProbe
	}
	return Native
}

// compatFlag takes a leading --compat off args.
func (o *Options) compatFlag(args []string) []string {
	name, value, has := flagParts(args[0])
	if name != "compat" {
		return args
	}
	rest := args[1:]
	if !has {
		if len(rest) == 0 {
			o.refuse("--compat", "needs a value")
			return nil
		}
		value, rest = rest[0], rest[1:]
	}
	switch value {
	case "lprobe":
		o.Compat = Lprobe
	case "grpc_health_probe", "grpc-health-probe":
		o.Compat = GRPCHealthProbe
	default:
		o.refuse("--compat", "is neither lprobe nor grpc_health_probe")
		return nil
	}
	return rest
}

// flagParts splits "-name", "--name" or "--name=value"; name is empty if arg
// is not a flag.
//
//go:noinline
func flagParts(arg string) (name, value string, has bool) {
	if len(arg) < 2 || arg[0] != '-' {
		return "", "", false
	}
	arg = arg[1:]
	if arg[0] == '-' {
		arg = arg[1:]
	}
	for i := range len(arg) {
		if arg[i] == '=' {
			return arg[:i], arg[i+1:], true
		}
	}
	return arg, "", false
}

// arguments reads flags and targets. Flags before the first target are for all
// targets, flags behind a target for that target.
func (o *Options) arguments(args []string) bool {
	flags := true
	for len(args) > 0 && o.problem.OK() {
		arg := args[0]
		args = args[1:]
		if flags && arg == "--" {
			flags = false
			continue
		}
		if flags && len(arg) > 1 && arg[0] == '-' {
			args = o.flag(arg, args)
			continue
		}
		o.target(arg)
	}
	return o.problem.OK()
}

// flag reads one flag, whose value may be the next argument.
func (o *Options) flag(arg string, args []string) []string {
	name, value, has := flagParts(arg)
	f := lookup(name)
	if f == nil {
		why := "is not a flag of probe; see --help"
		if name == "compat" {
			why = "must be the first argument"
		}
		o.refuse(flagOnly(arg), why)
		return args
	}
	switch {
	case f.bool && !has:
		value = "true"
	case !has && len(args) == 0:
		o.refuse(flagOnly(arg), "needs a value")
		return args
	case !has:
		value, args = args[0], args[1:]
	}
	value, ok := o.expand(flagOnly(arg), value)
	if ok {
		o.apply(f, flagOnly(arg), value)
	}
	return args
}

// flagOnly cuts the value, which may be a secret, off a flag.
//
//go:noinline
func flagOnly(arg string) string {
	for i := range len(arg) {
		if arg[i] == '=' {
			return arg[:i]
		}
	}
	return arg
}

// target begins a new check.
func (o *Options) target(arg string) bool {
	if o.NChecks == MaxChecks {
		return o.refuse(arg, "is one target more than the limit of 16")
	}
	text, ok := o.expand(arg, arg)
	if !ok {
		return false
	}
	if o.badPort != "" && wire.HasPrefix(text, "/") {
		return o.refuse(o.badPort, "is not a port from 1 to 65535")
	}
	c := &o.Checks[o.NChecks]
	*c = o.defaults
	if why := c.SetTarget(text, o.port); why != "" {
		return o.refuse(arg, why)
	}
	o.NChecks++
	return true
}

// finish adds the target of a command line that names none, and looks for
// flags that contradict each other or would be ignored.
func (o *Options) finish() bool {
	if o.NChecks == 0 && !o.target("/") {
		return false
	}
	used := uint32(0)
	for i := range o.NChecks {
		c := &o.Checks[i]
		can := applicable(c)
		used |= can
		for n := range flags {
			f := &flags[n]
			if o.sets[i]&(1<<n) != 0 && can&(1<<n) == 0 {
				return o.refuse(f.name, "does not apply to the target before it")
			}
		}
		if !o.consistent(c) {
			return false
		}
	}
	for n := range flags {
		if o.set&(1<<n) != 0 && flags[n].kinds != 0 && used&(1<<n) == 0 {
			return o.refuse(flags[n].name, "does not apply to any of the targets")
		}
	}
	return true
}

// consistent looks for contradictions within one check.
func (o *Options) consistent(c *check.Check) bool {
	switch {
	case c.CertFile != "" && c.KeyFile == "":
		return o.refuse("--cert-file", "needs --key-file")
	case c.KeyFile != "" && c.CertFile == "":
		return o.refuse("--key-file", "needs --cert-file")
	case c.Insecure && c.CAFile != "":
		return o.refuse("--insecure", "contradicts --ca-file")
	case c.Method == "HEAD" && (c.Contains != "" || c.JSONPath != ""):
		return o.refuse("--method", "is HEAD, whose answers have no body to look at")
	}
	return true
}

// expand replaces $NAME, ${NAME} and ${NAME:-default} in s, and $$ by $. name
// is for the message.
func (o *Options) expand(name, s string) (string, bool) {
	plain := true
	for i := range len(s) {
		plain = plain && s[i] != '$'
	}
	if plain {
		return s, true
	}
	start := o.nExpanded
	for i := 0; i < len(s); {
		if s[i] != '$' {
			o.put(s[i : i+1])
			i++
			continue
		}
		n, ok := o.variable(name, s[i+1:])
		if !ok {
			return "", false
		}
		i += 1 + n
	}
	if o.nExpanded > len(o.expanded) {
		return "", o.refuse(name, "expands to more than 16 KiB")
	}
	return view(o.expanded[start:o.nExpanded]), true
}

// view shows b, which must not change any more, as a string.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// put appends to the expanded text; nExpanded counts also what does not fit.
//
//go:noinline
func (o *Options) put(s string) {
	if o.nExpanded < len(o.expanded) {
		copy(o.expanded[o.nExpanded:], s)
	}
	o.nExpanded += len(s)
}

// variable expands what stands behind a $ and returns its length.
func (o *Options) variable(name, s string) (int, bool) {
	switch {
	case wire.HasPrefix(s, "$"):
		o.put("$")
		return 1, true
	case wire.HasPrefix(s, "{"):
		end := 1
		for end < len(s) && s[end] != '}' {
			end++
		}
		if end == len(s) {
			return 0, o.refuse(name, "has a ${ without }")
		}
		id, rest := identifier(s[1:end])
		value, found := o.getenv(id)
		switch {
		case id == "" || rest != "" && !wire.HasPrefix(rest, ":-"):
			return 0, o.refuse(name, "has a ${ that is neither ${NAME} nor ${NAME:-default}")
		case rest != "" && value == "":
			value = rest[2:]
		case !found:
			return 0, o.refuse(name, "uses a variable that is not set; write ${NAME:-default} if it may be missing")
		}
		o.put(value)
		return end + 1, true
	}
	id, _ := identifier(s)
	if id == "" {
		return 0, o.refuse(name, "has a $ without a name; write $$ for a dollar sign")
	}
	value, found := o.getenv(id)
	if !found {
		return 0, o.refuse(name, "uses a variable that is not set; write ${NAME:-default} if it may be missing")
	}
	o.put(value)
	return len(id), true
}

// identifier cuts a variable name off the beginning of s.
//
//go:noinline
func identifier(s string) (id, rest string) {
	n := 0
	for n < len(s) {
		c := s[n]
		letter := c == '_' || 'a' <= wire.Lower(c) && wire.Lower(c) <= 'z'
		if !letter && (n == 0 || c < '0' || c > '9') {
			break
		}
		n++
	}
	return s[:n], s[n:]
}

//go:noinline
func (o *Options) getenv(name string) (string, bool) {
	for _, e := range o.env {
		if len(e) > len(name) && e[len(name)] == '=' && wire.HasPrefix(e, name) {
			return e[len(name)+1:], true
		}
	}
	return "", false
}
