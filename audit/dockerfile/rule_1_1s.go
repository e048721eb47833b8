package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule11s = rule{audit.Rule{
	ID: "CHG-1.1s", Title: "Package managers run unattended and leave nothing behind", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases: []string{"DL3009", "DL3014", "DL3015", "DL3019", "DL3030", "DL3032", "DL3034", "DL3036", "DL3038", "DL3040", "DL3042", "DL3060",
		"DS-0017", "DS-0019", "DS-0020", "DS-0021", "DS-0024", "DS-0025", "DS-0029", "CIS-DI-0007", "DKL-DI-0004", "DKL-DI-0005"},
	Why:      "Recommended packages and caches are software nobody asked for; an index without an install is stale when it is used.",
	Fix:      "apt-get update && apt-get install -y --no-install-recommends ... && rm -rf /var/lib/apt/lists/* in one RUN; apk add --no-cache; pip install --no-cache-dir.",
	Evidence: "line and what is missing",
}, func(c *check) {
	c.held = "every package manager is called with the flags that keep the layer small"
	c.each(func(in *instr) { c.managers(in) })
}}

func (c *check) managers(in *instr) {
	calls := c.calls(in)
	final := c.inFinalImage(in)
	done := map[string]bool{}
	say := func(alias, observed, expected string) {
		if !done[alias] {
			done[alias] = true
			c.warn(spot{in: in, alias: alias, observed: observed, expected: expected})
		}
	}
	installs, updates := false, false
	for _, call := range calls {
		sub, _ := call.sub()
		switch call.name {
		case "apt-get", "apt", "aptitude":
			switch sub {
			case "update":
				updates = true
			case "dist-upgrade":
				say("DS-0024", call.name+" dist-upgrade", "a newer base image")
			case "install", "upgrade", "full-upgrade", "build-dep":
				installs = true
				if !call.yes() && sub == "install" {
					say("DL3014", call.name+" install without -y", "-y: nobody answers")
				}
				if sub == "install" && final && !call.has("--no-install-recommends") && !call.joined("APT::Install-Recommends") && !c.noRecommends(in) {
					say("DL3015", call.name+" install without --no-install-recommends", "--no-install-recommends")
				}
			}
		case "apk":
			if sub == "add" && final && !call.has("--no-cache") && !removes(calls, "/var/cache/apk") && !mountsCache(in, "/apk") {
				say("DL3019", "apk add without --no-cache", "apk add --no-cache")
			}
		case "yum", "dnf", "microdnf", "tdnf":
			if sub == "install" && !call.yes() && call.name != "microdnf" {
				say(map[string]string{"yum": "DL3030", "dnf": "DL3038", "tdnf": "DL3038"}[call.name], call.name+" install without -y", "-y")
			}
			if sub == "install" && final && !cleans(calls, call.name) && !mountsCache(in, call.name) {
				say(map[string]string{"yum": "DL3032", "dnf": "DL3040", "microdnf": "DL3040", "tdnf": "DL3040"}[call.name], call.name+" install without "+call.name+" clean all", call.name+" clean all in the same RUN")
			}
		case "zypper":
			if (sub == "install" || sub == "in") && !call.yes() && !call.has("-n", "--non-interactive") {
				say("DL3034", "zypper install without -y", "-n or -y")
			}
			if (sub == "install" || sub == "in") && final && !cleans(calls, "zypper") {
				say("DL3036", "zypper install without zypper clean", "zypper clean in the same RUN")
			}
		case "pip", "pip3":
			if sub == "install" && final && !call.has("--no-cache-dir") && in.stage.env["PIP_NO_CACHE_DIR"] == "" && !mountsCache(in, "pip") {
				say("DL3042", call.name+" install without --no-cache-dir", "--no-cache-dir, or a cache mount")
			}
		case "yarn":
			if sub == "install" && final && !cleans(calls, "yarn") && !mountsCache(in, "yarn") {
				say("DL3060", "yarn install without yarn cache clean", "yarn cache clean, or a cache mount")
			}
		}
	}
	if installs && final && !removes(calls, "/var/lib/apt/lists") && !mountsCache(in, "/var/lib/apt") && !cleansApt(in) {
		say("DL3009", "the package index stays in the layer", "rm -rf /var/lib/apt/lists/* in the same RUN")
	}
	if updates && !installs {
		say("DS-0017", "apt-get update alone in a RUN", "update and install in one RUN")
	}
}

// cleansApt is for layers that mount /var over the lists.
func cleansApt(in *instr) bool {
	return mountsCache(in, "/var/cache/apt") && mountsCache(in, "/var/lib")
}

func (c call) yes() bool {
	for _, a := range c.args {
		switch {
		case a == "--yes", a == "--assume-yes", a == "--assumeyes", a == "-qq", a == "--non-interactive", a == "-n":
			return true
		case strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && strings.ContainsAny(a, "y"):
			return true
		case a == "-q=2", strings.HasPrefix(a, "-q") && strings.Count(a, "q") >= 2:
			return true
		}
	}
	return false
}

func (c call) joined(part string) bool { return strings.Contains(strings.Join(c.args, " "), part) }

// noRecommends reports whether an earlier RUN of the stage configured apt.
func (f *file) noRecommends(at *instr) bool {
	for s := at.stage; s != nil; s = s.parent {
		for _, in := range s.instrs {
			if in.name == "RUN" && in.start <= at.start && strings.Contains(f.script(in).text, "Install-Recommends") {
				return true
			}
		}
	}
	return false
}

func removes(calls []call, dir string) bool {
	for _, c := range calls {
		if (c.name == "rm" || c.name == "find") && c.joined(dir) {
			return true
		}
	}
	return false
}

func cleans(calls []call, manager string) bool {
	for _, c := range calls {
		if c.name == manager && (c.has("clean") || c.has("cc")) {
			return true
		}
		if c.name == "rm" && (c.joined("/var/cache/"+manager) || c.joined("/var/cache/dnf") || c.joined("/var/cache/yum")) {
			return true
		}
	}
	return false
}

// mountsCache reports whether RUN mounts a cache whose target contains part.
func mountsCache(in *instr, part string) bool {
	run, ok := in.cmd.(*instructions.RunCommand)
	if !ok {
		return false
	}
	for _, m := range instructions.GetMounts(run) {
		if m != nil && (m.Type == instructions.MountTypeCache || m.Type == instructions.MountTypeTmpfs) && strings.Contains(m.Target, part) {
			return true
		}
	}
	return false
}

// inFinalImage reports whether an instruction's layer ends up in the target.
func (f *file) inFinalImage(in *instr) bool {
	for _, s := range f.chain() {
		if s == in.stage {
			return true
		}
	}
	return false
}
