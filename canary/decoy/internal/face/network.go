package face

import "strings"

var network = map[string]face{
	"wget":  {play: wget, help: wgetHelp, version: "GNU Wget 1.25.0 built on linux-gnu.", shortVersion: true},
	"curl":  {play: curl, help: curlHelp, version: curlVersion, shortVersion: true},
	"nc":    {play: nc, help: ncUsage},
	"ncat":  {play: ncat, help: ncatHelp, version: "Ncat: Version 7.95 ( https://nmap.org/ncat )"},
	"socat": {play: socat, help: socatHelp, version: socatVersion, shortVersion: true},
	"ssh":   {play: ssh},
	"scp":   {play: scp},
}

const (
	unresolved  = "Temporary failure in name resolution"
	curlVersion = `curl 8.14.1 (x86_64-pc-linux-gnu) libcurl/8.14.1 OpenSSL/3.5.1 zlib/1.3.1 brotli/1.1.0 zstd/1.5.7 libidn2/2.3.8 libpsl/0.21.2 nghttp2/1.64.0
Release-Date: 2025-06-04, security patched: 8.14.1-2
Protocols: dict file ftp ftps http https imap imaps ipfs ipns mqtt pop3 pop3s rtsp smb smbs smtp smtps telnet tftp ws wss
Features: alt-svc AsynchDNS brotli HSTS HTTP2 HTTPS-proxy IDN IPv6 Largefile libz NTLM PSL SSL threadsafe TLS-SRP UnixSockets zstd`
	socatVersion = `socat by Gerhard Rieger and contributors - see www.dest-unreach.org
socat version 1.8.0.3`
	ncUsage = `usage: nc [-46CDdFhklNnrStUuvZz] [-I length] [-i interval] [-M ttl]
	  [-m minttl] [-O length] [-P proxy_username] [-p source_port]
	  [-q seconds] [-s sourceaddr] [-T keyword] [-V rtable] [-W recvlimit]
	  [-w timeout] [-X proxy_protocol] [-x proxy_address[:port]]
	  [destination] [port]
`
	sshUsage = `usage: ssh [-46AaCfGgKkMNnqsTtVvXxYy] [-B bind_interface] [-b bind_address]
           [-c cipher_spec] [-D [bind_address:]port] [-E log_file]
           [-e escape_char] [-F configfile] [-I pkcs11] [-i identity_file]
           [-J destination] [-L address] [-l login_name] [-m mac_spec]
           [-O ctl_cmd] [-o option] [-P tag] [-p port] [-R address]
           [-S ctl_path] [-W host:port] [-w local_tun[:remote_tun]]
           destination [command [argument ...]]
       ssh [-Q query_option]
`
	scpUsage = `usage: scp [-346ABCOpqRrsTv] [-c cipher] [-D sftp_server_path] [-F ssh_config]
           [-i identity_file] [-J destination] [-l limit] [-o ssh_option]
           [-P port] [-S program] [-X sftp_option] source ... target
`
)

// target is where a client was asked to connect.
type target struct{ url, host, port string }

func targetOf(arg, scheme string) target {
	t := target{url: arg, port: "80"}
	if !strings.Contains(arg, "://") {
		t.url = scheme + "://" + arg
	}
	rest := t.url[strings.Index(t.url, "://")+3:]
	if strings.HasPrefix(t.url, "https:") {
		t.port = "443"
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	} else {
		t.url += "/"
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if host, port, found := strings.Cut(rest, ":"); found && !strings.Contains(port, ":") {
		rest, t.port = host, port
	}
	t.host = rest
	return t
}

func isAddress(host string) bool {
	return host != "" && strings.Trim(host, "0123456789.") == "" || strings.Contains(host, ":")
}

// clientOperands returns the operands of a client whose short options in
// takesValue swallow the next argument.
func (c Call) clientOperands(takesValue string) []string {
	var list []string
	for i := 0; i < len(c.Args); i++ {
		a := c.Args[i]
		switch {
		case len(a) > 1 && a[0] == '-' && a[1] != '-':
			if strings.IndexByte(takesValue, a[len(a)-1]) >= 0 {
				i++
			}
		case !strings.HasPrefix(a, "--"):
			list = append(list, a)
		}
	}
	return list
}

func wget(c Call) int {
	urls := c.clientOperands("oOaePtTiUBQ")
	if len(urls) == 0 {
		return c.fail(1, "wget: missing URL\nUsage: wget [OPTION]... [URL]...\n\nTry `wget --help' for more options.")
	}
	for _, u := range urls {
		t := targetOf(u, "http")
		if !c.has("q") {
			c.err("--" + c.World.Now.Format("2006-01-02 15:04:05") + "--  " + t.url + "\n")
		}
		switch {
		case c.has("q"):
		case isAddress(t.host):
			c.err("Connecting to " + t.host + ":" + t.port + "... failed: Network is unreachable.\n")
		default:
			c.err("Resolving " + t.host + " (" + t.host + ")... failed: " + unresolved + ".\n" +
				"wget: unable to resolve host address " + curly(t.host) + "\n")
		}
	}
	return 4
}

func curl(c Call) int {
	urls := c.clientOperands("oHdXAubceFTxmKrwEyYzCQtUD")
	if len(urls) == 0 {
		return c.fail(2, "curl: try 'curl --help' or 'curl --manual' for more information")
	}
	t := targetOf(urls[0], "http")
	quiet := c.has("s") && !c.has("S")
	if isAddress(t.host) {
		if !quiet {
			c.err("curl: (7) Failed to connect to " + t.host + " port " + t.port + " after 0 ms: Could not connect to server\n")
		}
		return 7
	}
	if !quiet {
		c.err("curl: (6) Could not resolve host: " + t.host + "\n")
	}
	return 6
}

func nc(c Call) int {
	rest := c.clientOperands("IiMmOPpqsTVWwXxe")
	switch {
	case c.has("l"):
		return c.fail(1, "nc: Permission denied")
	case c.has("h"):
		c.err("OpenBSD netcat (Debian patchlevel 1.229-1)\n" + ncUsage)
		return 0
	case c.has("U"):
		return c.fail(1, "nc: unix connect failed: Permission denied")
	case len(rest) == 0:
		c.err(ncUsage)
		return 1
	case len(rest) == 1:
		return c.fail(1, "nc: missing port number")
	case isAddress(rest[0]):
		proto := "tcp"
		if c.has("u") {
			proto = "udp"
		}
		return c.fail(1, "nc: connect to "+rest[0]+" port "+rest[1]+" ("+proto+") failed: Network is unreachable")
	}
	return c.fail(1, `nc: getaddrinfo for host "`+rest[0]+`" port `+rest[1]+": "+unresolved)
}

func ncat(c Call) int {
	rest := c.clientOperands("cegGidopswxm")
	switch {
	case c.has("l"):
		port := "31337"
		if len(rest) > 0 {
			port = rest[len(rest)-1]
		}
		return c.fail(2, "Ncat: bind to 0.0.0.0:"+port+": Permission denied. QUITTING.")
	case len(rest) == 0:
		return c.fail(2, "Ncat: You must specify a host to connect to. QUITTING.")
	case isAddress(rest[0]):
		return c.fail(1, "Ncat: Network is unreachable.")
	}
	return c.fail(2, `Ncat: Could not resolve hostname "`+rest[0]+`": `+unresolved+". QUITTING.")
}

func socat(c Call) int {
	line := c.World.Now.Format("2006/01/02 15:04:05") + " socat[" + number(c.World.PID) + "] E "
	rest := c.operands()
	if len(rest) != 2 {
		return c.fail(1, line+"exactly 2 addresses required (there are "+number(len(rest))+"); use option \"-h\" for help")
	}
	for _, address := range rest {
		parts := strings.Split(address, ":")
		if kind := strings.ToLower(parts[0]); len(parts) == 3 && (strings.HasPrefix(kind, "tcp") || strings.HasPrefix(kind, "openssl") || strings.HasPrefix(kind, "udp")) {
			port, _, _ := strings.Cut(parts[2], ",")
			if isAddress(parts[1]) {
				return c.fail(1, line+"connect(5, AF=2 "+parts[1]+":"+port+", 16): Network is unreachable")
			}
			return c.fail(1, line+`getaddrinfo("`+parts[1]+`", "`+port+`", {1,0,1,6}, {}): `+unresolved)
		}
	}
	return c.fail(1, line+"socketpair(1, 1, 0, {}): Permission denied")
}

func ssh(c Call) int {
	if len(c.Args) > 0 && c.Args[0] == "-V" {
		c.err("OpenSSH_10.0p2 Debian-7, OpenSSL 3.5.1 1 Jul 2025\n")
		return 0
	}
	rest := c.clientOperands("BbcDEeFIiJLlmOoPpQRSWw")
	if len(rest) == 0 {
		c.err(sshUsage)
		return 255
	}
	host := rest[0][strings.LastIndexByte(rest[0], '@')+1:]
	return c.fail(255, sshFailure(c, host, "p"))
}

func sshFailure(c Call, host, portOption string) string {
	if !isAddress(host) {
		return "ssh: Could not resolve hostname " + host + ": " + unresolved
	}
	port := "22"
	for i, a := range c.Args[:max(len(c.Args)-1, 0)] {
		if a == "-"+portOption {
			port = c.Args[i+1]
		}
	}
	return "ssh: connect to host " + host + " port " + port + ": Network is unreachable"
}

func scp(c Call) int {
	rest := c.clientOperands("cDFiJloPSX")
	if len(rest) < 2 {
		c.err(scpUsage)
		return 1
	}
	for _, path := range rest {
		if host, _, remote := strings.Cut(path, ":"); remote {
			host = host[strings.LastIndexByte(host, '@')+1:]
			return c.fail(255, sshFailure(c, host, "P")+"\nscp: Connection closed")
		}
	}
	return c.fail(1, rest[0]+": Permission denied")
}
