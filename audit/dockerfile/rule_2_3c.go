package dockerfile

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule23c = rule{audit.Rule{
	ID: "CHG-2.3c", Title: "Packages of languages are pinned", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3013", "DL3016", "DL3028", "DL3062"},
	Why:      "A package registry's newest version may be minutes old and hostile; a lock file with hashes is what was tested.",
	Fix:      "npm ci, pip install --require-hashes -r requirements.txt, gem install name:1.2.3, go install module@v1.2.3, cargo install --locked --version 1.2.3.",
	Evidence: "line and the packages without a version",
}, func(c *check) {
	c.held = "every package has a version or a lock file"
	c.each(func(in *instr) {
		for _, call := range c.calls(in) {
			if alias, seen, want := unpinnedLanguage(call); seen != "" && !(in.stage.env["CI"] != "" && frozenByCI(call)) {
				c.fail(spot{in: in, alias: alias, observed: seen, expected: want})
				return
			}
		}
	})
}}

// frozenByCI reports whether a command keeps to its lock file where the
// variable CI is set.
func frozenByCI(c call) bool {
	sub, ops := c.sub()
	return (c.name == "pnpm" || c.name == "yarn") && (sub == "" || sub == "install" || sub == "i") && len(ops) == 0
}

func unpinnedLanguage(c call) (alias, seen, want string) {
	sub, ops := c.sub()
	if (c.name == "python" || c.name == "python3") && c.has("-m") && c.has("pip") {
		for i, a := range c.args {
			if a == "pip" {
				return unpinnedLanguage(call{name: "pip", args: c.args[i+1:]})
			}
		}
	}
	switch c.name {
	case "npm":
		return unpinnedNPM(c, sub, ops)
	case "yarn", "pnpm":
		return unpinnedYarn(c, sub, ops)
	case "pip", "pip3":
		return unpinnedPip(c, sub)
	case "uv":
		if sub == "pip" || sub == "tool" {
			for i, a := range c.args {
				if a == sub {
					return unpinnedLanguage(call{name: "pip", args: c.args[i+1:]})
				}
			}
		}
	case "pipx":
		return unpinnedPip(c, sub)
	case "gem":
		if sub == "install" && !c.has("-v", "--version", "-g", "--file") && !c.joined("--version=") {
			if loose := without(ops, ":", ".gem", "/", "$"); len(loose) > 0 {
				return "DL3028", "gem install " + list(loose), "gem install name:version"
			}
		}
	case "go":
		if sub == "install" || sub == "get" {
			for _, m := range ops {
				if strings.HasSuffix(m, "@latest") || strings.HasSuffix(m, "@master") || strings.HasSuffix(m, "@main") || (strings.Contains(m, ".") && strings.Contains(m, "/") && !strings.HasPrefix(m, ".") && !strings.Contains(m, "@")) && sub == "get" {
					return "DL3062", "go " + sub + " " + m, "a version: " + strings.Split(m, "@")[0] + "@v1.2.3"
				}
			}
		}
	case "cargo":
		if sub == "install" && !c.has("--path", "--version", "--vers", "--rev") && !c.joined("--path=") && !c.joined("--version=") && !c.joined("--rev=") {
			if loose := without(ops, "@", "$"); len(loose) > 0 {
				return "", "cargo install " + list(loose), "--locked --version 1.2.3"
			}
		}
	}
	return "", "", ""
}

func unpinnedNPM(c call, sub string, ops []string) (alias, seen, want string) {
	if sub != "install" && sub != "i" && sub != "add" {
		return "", "", ""
	}
	names := without(ops, "$")
	if len(names) == 0 {
		if c.has("-g", "--global") || c.has("--package-lock-only") {
			return "", "", ""
		}
		return "DL3016", "npm " + sub, "npm ci, which installs what the lock file says"
	}
	var loose []string
	for _, n := range names {
		bare := strings.TrimPrefix(n, "@")
		_, version, ok := strings.Cut(bare, "@")
		local := strings.HasPrefix(n, ".") || strings.HasPrefix(n, "/") || strings.HasSuffix(n, ".tgz")
		if !local && (!ok || version == "latest" || strings.HasPrefix(version, "^") || strings.HasPrefix(version, "~")) {
			loose = append(loose, n)
		}
	}
	if len(loose) == 0 {
		return "", "", ""
	}
	return "DL3016", "npm " + sub + " " + list(loose), "name@1.2.3"
}

// unpinnedYarn judges yarn and pnpm, which rewrite their lock file unless told
// to keep to it.
func unpinnedYarn(c call, sub string, ops []string) (alias, seen, want string) {
	if c.name == "yarn" && sub == "global" && len(ops) > 0 {
		sub, ops = ops[0], ops[1:]
	}
	switch {
	case sub == "add" || sub == "dlx":
		_, seen, want = unpinnedNPM(call{name: c.name, args: c.args}, "add", ops)
		return "DL3016", strings.Replace(seen, "npm add", c.name+" "+sub, 1), want
	case sub != "install" && sub != "i" && (sub != "" || c.name != "yarn" || len(c.args) > 0):
		return "", "", ""
	case c.joined("--frozen-lockfile") || c.has("--immutable", "--offline") || c.joined("--no-lockfile=false") || c.joined("--lockfile-only") || c.has("--version", "--help"):
		return "", "", ""
	}
	return "DL3016", c.name + " install", c.name + " install --frozen-lockfile, which installs what the lock file says"
}

func unpinnedPip(c call, sub string) (alias, seen, want string) {
	if sub != "install" || c.has("--require-hashes") {
		return "", "", ""
	}
	var loose []string
	for _, p := range c.operands()[1:] {
		local := strings.HasPrefix(p, ".") || strings.HasPrefix(p, "/") || strings.HasSuffix(p, ".whl") || strings.HasSuffix(p, ".tar.gz") || strings.HasPrefix(p, "$")
		pinned := strings.Contains(p, "==") || strings.Contains(p, "@")
		if _, repository, ok := strings.Cut(p, "git+"); ok {
			repository, _, _ = strings.Cut(repository, "#")
			ref := repository[strings.LastIndex(repository, "@")+1:]
			pinned = commitID(ref) || strings.Contains(ref, "$")
		}
		if p != "" && !local && !pinned {
			loose = append(loose, p)
		}
	}
	if len(loose) == 0 || c.has("-c", "--constraint") {
		return "", "", ""
	}
	return "DL3013", "pip install " + list(loose), "name==1.2.3, or --require-hashes -r requirements.txt"
}

// without leaves out the words that contain one of the parts.
func without(words []string, parts ...string) []string {
	var out []string
next:
	for _, w := range words {
		for _, p := range parts {
			if strings.Contains(w, p) {
				continue next
			}
		}
		out = append(out, w)
	}
	return out
}
