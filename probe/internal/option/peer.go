package option

import "github.com/hardstand/hardstand/probe/internal/wire"

// peerOptions are the flags of lprobe and grpc_health_probe as given.
type peerOptions struct {
	grpc, ipv6, tls                     bool
	connect, rpc                        int64
	port, addr, endpoint, service       string
	rpcGiven, codesGiven, endpointGiven bool
}

// parsePeer reads the command line of lprobe or grpc_health_probe. It takes
// their flags with their meaning; what they silently ignored, misread or let
// pass is refused.
func (o *Options) parsePeer(args []string) {
	p := &o.peer
	p.connect, p.rpc = 1e9, 1e9
	p.port, p.endpoint = "8080", "/"
	p.grpc = o.Compat == GRPCHealthProbe
	o.Detailed = p.grpc
	o.defaults.UserAgent = "lprobe"
	if p.grpc {
		o.defaults.UserAgent = "grpc_health_probe"
	}
	for len(args) > 0 && o.problem.OK() {
		arg := args[0]
		args = args[1:]
		name, value, has := flagParts(arg)
		if name == "" {
			o.refuse(arg, "is not a flag")
			return
		}
		if peerSwitch(name) {
			if !has {
				value = "true"
			}
		} else if !has {
			if len(args) == 0 {
				o.refuse(arg, "needs a value, or is not a flag")
				return
			}
			value, args = args[0], args[1:]
		}
		given := flagOnly(arg)
		value, ok := o.expand(given, value)
		if !ok {
			return
		}
		if why := o.setPeer(name, value); why != "" {
			o.refuse(given, why)
		}
	}
	if o.problem.OK() && o.Action == RunChecks {
		o.finishPeer()
	}
}

func peerSwitch(name string) bool {
	switch name {
	case "tls", "tls-no-verify", "alts", "v", "gzip", "spiffe", "ipv6", "version", "h", "help":
		return true
	}
	return false
}

const unknownPeerFlag = "is not a flag of the program emulated"

func (o *Options) setPeer(name, value string) string {
	p, c := &o.peer, &o.defaults
	lprobe := o.Compat == Lprobe
	switch name {
	case "user-agent":
		c.UserAgent = value
		return printable(value)
	case "service":
		p.service = value
		return ""
	case "connect-timeout":
		return duration(&p.connect, value)
	case "rpc-timeout":
		p.rpcGiven = true
		return duration(&p.rpc, value)
	case "rpc-header":
		return addHeader(c, value)
	case "tls":
		return boolean(&p.tls, value)
	case "tls-no-verify":
		return boolean(&c.Insecure, value)
	case "tls-ca-cert":
		c.CAFile = value
	case "tls-client-cert":
		c.CertFile = value
	case "tls-client-key":
		c.KeyFile = value
	case "tls-server-name":
		return visible(&c.ServerName, value)
	case "alts", "gzip", "spiffe":
		var on bool
		if why := boolean(&on, value); why != "" {
			return why
		}
		if on {
			return "is not supported by this probe"
		}
	case "v":
		return boolean(&o.Verbose, value)
	case "h", "help":
		o.Action = ShowHelp
	case "version":
		if lprobe {
			return unknownPeerFlag
		}
		o.Action = ShowVersion
	case "addr":
		if lprobe {
			return unknownPeerFlag
		}
		p.addr = value
		return peerAddr(value)
	default:
		if !lprobe {
			return unknownPeerFlag
		}
		return o.setLprobe(name, value)
	}
	return ""
}

// peerAddr refuses an address with a path, which would become a service name.
func peerAddr(addr string) string {
	if wire.HasPrefix(addr, "unix:") {
		return ""
	}
	if wire.HasPrefix(addr, "dns:///") {
		addr = addr[len("dns:///"):]
	}
	for i := range len(addr) {
		if addr[i] == '/' {
			return "has a path"
		}
	}
	return nonEmpty(addr)
}

func (o *Options) setLprobe(name, value string) string {
	p := &o.peer
	switch name {
	case "mode":
		if value != "http" && value != "grpc" {
			return "is neither http nor grpc"
		}
		p.grpc = value == "grpc"
	case "port":
		p.port = value
	case "endpoint":
		p.endpoint, p.endpointGiven = value, true
	case "http-codes":
		p.codesGiven = true
		return o.defaults.Codes.ParseCodes(value)
	case "ipv6":
		return boolean(&p.ipv6, value)
	default:
		return unknownPeerFlag
	}
	return ""
}

// finishPeer turns the flags into one check.
func (o *Options) finishPeer() bool {
	p := &o.peer
	if why, name := o.peerContradiction(); why != "" {
		return o.refuse(name, why)
	}
	c := &o.Checks[0]
	*c = o.defaults
	target, name, ok := o.peerTarget()
	if !ok {
		return o.refuse(name, "is too long")
	}
	if why := c.SetTarget(target, 0); why != "" {
		return o.refuse(name, why)
	}
	o.NChecks = 1
	if p.grpc {
		if p.service != "" {
			if why := c.AddService(p.service); why != "" {
				return o.refuse("-service", why)
			}
		}
		c.ConnectTimeout, o.Timeout = p.connect, p.rpc
	} else {
		o.Timeout = p.connect
	}
	return true
}

// peerContradiction looks for flags that the peer refuses or silently ignores.
func (o *Options) peerContradiction() (why, name string) {
	p, c := &o.peer, &o.defaults
	switch {
	case o.Compat == GRPCHealthProbe && p.addr == "":
		return "is missing", "-addr"
	case !p.tls && c.Insecure:
		return "needs -tls", "-tls-no-verify"
	case !p.tls && c.CAFile != "":
		return "needs -tls", "-tls-ca-cert"
	case !p.tls && c.CertFile != "":
		return "needs -tls", "-tls-client-cert"
	case !p.tls && c.ServerName != "":
		return "needs -tls", "-tls-server-name"
	case c.CertFile != "" && c.KeyFile == "":
		return "needs -tls-client-key", "-tls-client-cert"
	case c.CertFile == "" && c.KeyFile != "":
		return "needs -tls-client-cert", "-tls-client-key"
	case c.Insecure && c.CAFile != "":
		return "contradicts -tls-no-verify", "-tls-ca-cert"
	case c.Insecure && c.ServerName != "":
		return "contradicts -tls-no-verify", "-tls-server-name"
	case !p.grpc && p.service != "":
		return "needs -mode=grpc", "-service"
	case !p.grpc && p.rpcGiven:
		return "needs -mode=grpc; in http mode -connect-timeout is the total time", "-rpc-timeout"
	case p.grpc && p.codesGiven:
		return "needs -mode=http", "-http-codes"
	case p.grpc && p.endpointGiven:
		return "needs -mode=http", "-endpoint"
	}
	return "", ""
}

// peerTarget writes the target URL, and names the flag it comes from.
func (o *Options) peerTarget() (target, name string, ok bool) {
	p := &o.peer
	start := o.nExpanded
	switch {
	case p.grpc:
		o.put("grpc")
	default:
		o.put("http")
	}
	if p.tls {
		o.put("s")
	}
	name = "-port"
	if o.Compat == GRPCHealthProbe {
		name = "-addr"
		addr := p.addr
		switch {
		case wire.HasPrefix(addr, "unix:"):
			o.put("+unix://")
			addr = addr[len("unix:"):]
			if wire.HasPrefix(addr, "//") {
				addr = addr[2:]
			}
			o.put(addr)
			o.put(":")
		case wire.HasPrefix(addr, "dns:///"):
			o.put("://")
			o.put(addr[len("dns:///"):])
		default:
			o.put("://")
			o.put(addr)
		}
	} else {
		o.put("://127.0.0.1:")
		if p.ipv6 {
			o.nExpanded -= len("127.0.0.1:")
			o.put("[::1]:")
		}
		o.put(p.port)
		if !p.grpc {
			if !wire.HasPrefix(p.endpoint, "/") {
				o.put("/")
			}
			o.put(p.endpoint)
		}
	}
	if o.nExpanded > len(o.expanded) {
		return "", name, false
	}
	return view(o.expanded[start:o.nExpanded]), name, true
}
