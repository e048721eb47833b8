package dockerfile

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule25c = rule{audit.Rule{
	ID: "CHG-2.5c", Title: "No download tools are installed into the image", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Why:      "After a break-in the next step is to fetch more tools, and curl or wget are what does it.",
	Fix:      "Install them in a build stage and copy the result, or remove them in the same RUN.",
	Evidence: "line and package",
}, func(c *check) {
	c.held = "no stage of the target installs a download tool"
	for _, s := range c.chain() {
		for _, in := range s.instrs {
			if in.onbuild {
				continue
			}
			if tools := c.installsTools(in); len(tools) > 0 {
				c.fail(spot{in: in, observed: list(tools) + " is installed into the image", expected: "no download tool in the image"})
			}
		}
	}
}}

func (c *check) installsTools(in *instr) []string {
	var tools []string
	calls := c.calls(in)
	for _, call := range calls {
		_, ops := call.sub()
		if !installer(call) {
			continue
		}
		for _, p := range ops {
			name, _, _ := strings.Cut(p, "=")
			switch name {
			case "curl", "wget", "netcat", "netcat-openbsd", "netcat-traditional", "ncat", "nmap", "nmap-ncat", "socat", "telnet", "openssh-client", "openssh-server", "aria2", "ftp", "lftp":
				if !removedLater(calls, name) {
					tools = append(tools, name)
				}
			}
		}
	}
	return tools
}

func installer(c call) bool {
	sub, _ := c.sub()
	switch c.name {
	case "apt-get", "apt", "aptitude", "yum", "dnf", "microdnf", "zypper", "tdnf":
		return sub == "install" || sub == "in"
	case "apk":
		return sub == "add"
	}
	return false
}

// removedLater reports whether the same RUN removes a package again. A group
// made with --virtual is removed by its name.
func removedLater(calls []call, name string) bool {
	group := map[string]bool{name: true}
	for _, c := range calls {
		for i, a := range c.args {
			if (a == "--virtual" || a == "-t") && i+1 < len(c.args) && c.names(name) {
				group[c.args[i+1]] = true
			}
			if v, ok := strings.CutPrefix(a, "--virtual="); ok && c.names(name) {
				group[v] = true
			}
		}
	}
	for _, c := range calls {
		sub, ops := c.sub()
		switch sub {
		case "purge", "remove", "autoremove", "del", "erase":
			for _, o := range ops {
				if group[o] {
					return true
				}
			}
		}
	}
	return false
}

// names reports whether a call names a package, with a version or without.
func (c call) names(pkg string) bool {
	for _, a := range c.args {
		if rest, ok := strings.CutPrefix(a, pkg); ok && (rest == "" || strings.ContainsAny(rest[:1], "=<>~@")) {
			return true
		}
	}
	return false
}
