package option

import (
	"github.com/hardstand/hardstand/probe/internal/check"
	"github.com/hardstand/hardstand/probe/internal/wire"
)

// flagDef defines one flag. Its variable is PROBE_ and its name in capitals.
type flagDef struct {
	name  string // with dashes
	arg   string // what to call its value in --help; "" for a switch
	help  string
	kinds uint8 // kinds of checks it applies to, by bit; 0: not a matter of checks
	tls   bool  // only with TLS
	bool  bool
}

const (
	onHTTP = 1 << check.HTTP
	onGRPC = 1 << check.GRPC
	onTCP  = 1 << check.TCP
	onFCGI = 1 << check.FastCGI
	onFile = 1 << check.File
)

// Indexes into flags.
const (
	flTimeout = iota
	flWait
	flInterval
	flStatus
	flMethod
	flHeader
	flHost
	flUserAgent
	flBody
	flBodyJSON
	flRedirects
	flService
	flCAFile
	flServerName
	flCertFile
	flKeyFile
	flInsecure
	flExitCodes
	flVerbose
	flJSON
	flHelp
	flVersion
)

var flags = [...]flagDef{
	flTimeout:    {name: "--timeout", arg: "DURATION", help: "time for one attempt, all of it (default 3s)"},
	flWait:       {name: "--wait", arg: "DURATION", help: "keep trying for this long, for start-up"},
	flInterval:   {name: "--interval", arg: "DURATION", help: "pause between attempts of --wait (default 500ms)"},
	flStatus:     {name: "--status", arg: "LIST", help: "accepted statuses, such as 200-299,302 or 2xx (default 200-299)", kinds: onHTTP | onFCGI},
	flMethod:     {name: "--method", arg: "METHOD", help: "request method (default GET)", kinds: onHTTP},
	flHeader:     {name: "--header", arg: "'NAME: VALUE'", help: "request header or gRPC metadata; may be repeated", kinds: onHTTP | onGRPC},
	flHost:       {name: "--host", arg: "NAME", help: "Host header or :authority", kinds: onHTTP | onGRPC | onFCGI},
	flUserAgent:  {name: "--user-agent", arg: "TEXT", help: "User-Agent header, '' for none", kinds: onHTTP | onGRPC},
	flBody:       {name: "--body", arg: "TEXT", help: "the body must contain TEXT", kinds: onHTTP | onFCGI | onFile},
	flBodyJSON:   {name: "--body-json", arg: "PATH=VALUE", help: "the JSON body must have VALUE at PATH, such as status=UP or checks.0.ok=true", kinds: onHTTP | onFCGI | onFile},
	flRedirects:  {name: "--redirects", arg: "none|same-host", help: "follow redirects within scheme, host and port (default none)", kinds: onHTTP},
	flService:    {name: "--service", arg: "NAME", help: "gRPC service to ask for; may be repeated (default the whole server)", kinds: onGRPC},
	flCAFile:     {name: "--ca-file", arg: "FILE", help: "trust these certificates instead of the system's", kinds: onHTTP | onGRPC | onTCP, tls: true},
	flServerName: {name: "--server-name", arg: "NAME", help: "name to send and to find in the certificate", kinds: onHTTP | onGRPC | onTCP, tls: true},
	flCertFile:   {name: "--cert-file", arg: "FILE", help: "client certificate for mTLS", kinds: onHTTP | onGRPC | onTCP, tls: true},
	flKeyFile:    {name: "--key-file", arg: "FILE", help: "its private key", kinds: onHTTP | onGRPC | onTCP, tls: true},
	flInsecure:   {name: "--insecure", help: "do not verify the certificate", kinds: onHTTP | onGRPC | onTCP, tls: true, bool: true},
	flExitCodes:  {name: "--exit-codes", arg: "plain|detailed", help: "plain: 0 and 1; detailed: those of grpc_health_probe (default plain)"},
	flVerbose:    {name: "-v", help: "print the phases with their times", bool: true},
	flJSON:       {name: "--json", help: "print the outcome as JSON", bool: true},
	flHelp:       {name: "--help", help: "print this", bool: true},
	flVersion:    {name: "--version", help: "print version and policy", bool: true},
}

// lookup finds a flag by its name without dashes.
func lookup(name string) *flagDef {
	if name == "h" {
		name = "help"
	}
	if name == "verbose" {
		name = "v"
	}
	for i := range flags {
		f := &flags[i]
		if wire.Same(bare(f.name), name) {
			return f
		}
	}
	return nil
}

//go:noinline
func bare(name string) string {
	for wire.HasPrefix(name, "-") {
		name = name[1:]
	}
	return name
}

// index returns f's place in flags.
//
//go:noinline
func (f *flagDef) index() int {
	for i := range flags {
		if f == &flags[i] {
			return i
		}
	}
	return len(flags)
}

// applicable returns the flags that have a meaning for c, by bit.
func applicable(c *check.Check) uint32 {
	mask := uint32(0)
	for i := range flags {
		f := &flags[i]
		if f.kinds&(1<<c.Kind) != 0 && (c.TLS || !f.tls) {
			mask |= 1 << i
		}
	}
	return mask
}

// environment reads PROBE_* and PORT. A name that is not a flag's is left
// alone: Kubernetes sets PROBE_SERVICE_HOST and the like where a service is
// called probe, and PROBE_PORT=tcp://... with it.
func (o *Options) environment() bool {
	if v, ok := o.getenv("PROBE_PORT"); ok && !wire.HasPrefix(v, "tcp://") && !wire.HasPrefix(v, "udp://") {
		o.setDefaultPort("PROBE_PORT", v)
	} else if v, ok := o.getenv("PORT"); ok && v != "" {
		o.setDefaultPort("PORT", v)
	}
	for _, e := range o.env {
		if !wire.HasPrefix(e, "PROBE_") {
			continue
		}
		for i := range flags {
			f := &flags[i]
			if v, ok := valueOf(e, f); ok && i != flHelp && i != flVersion {
				o.fromEnvironment(f, e[:len(e)-len(v)-1], v)
			}
		}
	}
	return o.problem.OK()
}

// fromEnvironment applies a variable; the lines of a repeatable one are one
// value each.
func (o *Options) fromEnvironment(f *flagDef, name, value string) {
	if value == "" {
		return
	}
	i := f.index()
	if i != flHeader && i != flService {
		o.apply(f, name, value)
		return
	}
	for value != "" {
		line := value
		value = ""
		for n := range len(line) {
			if line[n] == '\n' {
				line, value = line[:n], line[n+1:]
				break
			}
		}
		if line != "" {
			o.apply(f, name, line)
		}
	}
}

// setDefaultPort takes the port of targets that name none. A bad one is a
// problem only if there is such a target: PORT may be meant for others.
func (o *Options) setDefaultPort(name, v string) {
	var c check.Check
	if why := c.SetTarget(v, 0); why != "" || c.Host != "" || c.Path != "" || c.Port == 0 {
		o.badPort = name
		return
	}
	o.port = c.Port
}

// valueOf returns the value of the environment entry e if it is f's variable.
func valueOf(e string, f *flagDef) (string, bool) {
	const prefix = "PROBE_"
	name := bare(f.name)
	if name == "v" {
		name = "verbose"
	}
	rest := e[len(prefix):]
	if len(rest) <= len(name) || rest[len(name)] != '=' {
		return "", false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '-':
			c = '_'
		default:
			c -= 'a' - 'A'
		}
		if rest[i] != c {
			return "", false
		}
	}
	return rest[len(name)+1:], true
}

// apply sets a flag, for the last target if there is one. name is how the user
// wrote it.
//
//go:noinline
func (o *Options) apply(f *flagDef, name, value string) bool {
	i := f.index()
	c := &o.defaults
	if f.kinds != 0 && o.NChecks > 0 {
		c = &o.Checks[o.NChecks-1]
		o.sets[o.NChecks-1] |= 1 << i
	} else {
		o.set |= 1 << i
	}
	why := ""
	if f.kinds == 0 {
		why = o.setGlobal(i, value)
	} else {
		why = o.setCheck(c, i, value)
	}
	if why != "" {
		return o.refuse(name, why)
	}
	return true
}

func (o *Options) setGlobal(i int, value string) string {
	switch i {
	case flTimeout:
		return duration(&o.Timeout, value)
	case flWait:
		return duration(&o.Wait, value)
	case flInterval:
		return duration(&o.Interval, value)
	case flVerbose:
		return boolean(&o.Verbose, value)
	case flJSON:
		return boolean(&o.JSON, value)
	case flExitCodes:
		if value != "plain" && value != "detailed" {
			return "is neither plain nor detailed"
		}
		o.Detailed = value == "detailed"
	case flHelp:
		o.Action = ShowHelp
	case flVersion:
		o.Action = ShowVersion
	}
	return ""
}

func (o *Options) setCheck(c *check.Check, i int, value string) string {
	switch i {
	case flStatus:
		return c.Codes.ParseCodes(value)
	case flMethod:
		return method(c, value)
	case flHeader:
		return addHeader(c, value)
	case flHost:
		return visible(&c.HostName, value)
	case flUserAgent:
		c.UserAgent = value
		return printable(value)
	case flBody:
		c.Contains = value
		return nonEmpty(value)
	case flBodyJSON:
		return bodyJSON(c, value)
	case flRedirects:
		if value != "none" && value != "same-host" {
			return "is neither none nor same-host"
		}
		c.Redirects = value == "same-host"
	case flService:
		return c.AddService(value)
	case flCAFile:
		c.CAFile = value
		return nonEmpty(value)
	case flServerName:
		return visible(&c.ServerName, value)
	case flCertFile:
		c.CertFile = value
		return nonEmpty(value)
	case flKeyFile:
		c.KeyFile = value
		return nonEmpty(value)
	case flInsecure:
		return boolean(&c.Insecure, value)
	}
	return ""
}

//go:noinline
func duration(d *int64, value string) string {
	v, ok := check.ParseDuration(value)
	if !ok {
		return "is not a duration such as 500ms, 2s or 1m30s"
	}
	if v <= 0 {
		return "must be more than zero"
	}
	*d = v
	return ""
}

//go:noinline
func boolean(b *bool, value string) string {
	switch value {
	case "true", "1", "yes":
		*b = true
	case "false", "0", "no":
		*b = false
	default:
		return "is neither true nor false"
	}
	return ""
}

//go:noinline
func nonEmpty(value string) string {
	if value == "" {
		return "is empty"
	}
	return ""
}

// visible stores a value that may hold no space.
//
//go:noinline
func visible(to *string, value string) string {
	for i := range len(value) {
		if value[i] <= ' ' || value[i] >= 0x7f {
			return "holds a space, control or non-ASCII character"
		}
	}
	if len(value) > 256 {
		return "is longer than 256 bytes"
	}
	*to = value
	return nonEmpty(value)
}

// printable refuses what would end a header line.
//
//go:noinline
func printable(value string) string {
	for i := range len(value) {
		if value[i] < ' ' && value[i] != '\t' || value[i] == 0x7f {
			return "holds a control character"
		}
	}
	return ""
}

func method(c *check.Check, value string) string {
	for i := range len(value) {
		if value[i] < 'A' || value[i] > 'Z' {
			return "is not a method in capitals, such as GET or HEAD"
		}
	}
	if value == "CONNECT" {
		return "is CONNECT, which asks for a tunnel"
	}
	c.Method = value
	return nonEmpty(value)
}

// addHeader adds a header; those that frame the message are the probe's own.
func addHeader(c *check.Check, value string) string {
	colon := 0
	for colon < len(value) && value[colon] != ':' {
		if !wire.Token(value[colon]) {
			return "is not of the form 'Name: value'"
		}
		colon++
	}
	if colon == 0 || colon == len(value) {
		return "is not of the form 'Name: value'"
	}
	if why := printable(value); why != "" {
		return why
	}
	name := value[:colon]
	for _, own := range [...]string{"connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer"} {
		if equalFold(name, own) {
			return "sets a header that the probe must set itself"
		}
	}
	if equalFold(name, "host") {
		rest := value[colon+1:]
		for wire.HasPrefix(rest, " ") {
			rest = rest[1:]
		}
		return visible(&c.HostName, rest)
	}
	if c.NHeaders == len(c.Headers) {
		return "is one header more than the limit of 16"
	}
	c.Headers[c.NHeaders] = value
	c.NHeaders++
	return ""
}

//go:noinline
func equalFold(a, lower string) bool {
	if len(a) != len(lower) {
		return false
	}
	for i := range len(a) {
		if wire.Lower(a[i]) != lower[i] {
			return false
		}
	}
	return true
}

func bodyJSON(c *check.Check, value string) string {
	for i := range len(value) {
		if value[i] == '=' && i > 0 {
			c.JSONPath, c.JSONWant = value[:i], value[i+1:]
			return ""
		}
	}
	return "is not of the form PATH=VALUE"
}

// Help appends the flag list.
func Help(w *wire.Buffer) {
	w.Str(usage)
	for i := range flags {
		f := &flags[i]
		start := w.Len()
		w.Str("  ")
		w.Str(f.name)
		if f.arg != "" {
			w.Byte(' ')
			w.Str(f.arg)
		}
		for w.Len()-start < 28 {
			w.Byte(' ')
		}
		w.Byte(' ')
		w.Str(f.help)
		w.Byte('\n')
	}
	w.Str(usageEnd)
}

const usage = `Usage: probe [FLAG...] [TARGET [FLAG...]]...

Checks the health of what runs in this container: exit code 0 healthy, 1 not.
A target is a port, :PORT/path, host:PORT/path, /path, or a URL: http, https,
grpc, grpcs, tcp, tls, fcgi, unix, http+unix, https+unix, grpc+unix, grpcs+unix,
tcp+unix, fcgi+unix, file. Without one it is http://localhost:8080/; PROBE_PORT
or PORT replaces 8080. Flags before the first target hold for all targets, flags
behind a target for that target. All targets must be healthy.

`

const usageEnd = `
Every flag has a variable: PROBE_ and its name in capitals, such as PROBE_TIMEOUT
(PROBE_VERBOSE for -v). $NAME and ${NAME:-default} are expanded in arguments.
--compat lprobe or --compat grpc_health_probe, as the first argument, takes the
flags of that program; so does being called by its name.
`
