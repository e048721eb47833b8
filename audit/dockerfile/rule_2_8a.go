package dockerfile

import (
	"fmt"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule28a = rule{audit.Rule{
	ID: "CHG-2.8a", Title: "Compilers stay in a build stage", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Why:      "A compiler and its sources are of use to an intruder and of none to the program that was compiled.",
	Fix:      "Build in one stage, FROM a minimal image in the last, and COPY --from the finished program.",
	Evidence: "the stages of the target and what compiles in them",
}, func(c *check) {
	if c.target == nil {
		c.unknown("a stage to build", "")
		return
	}
	stages := 0
	for _, s := range c.stages {
		if s.reachable {
			stages++
		}
	}
	c.held = fmt.Sprintf("%d stages, and nothing compiles in those that the target is built from", stages)
	for _, s := range c.chain() {
		if s.parent == nil && toolchain(parseImage(s.base)) {
			c.fail(spot{in: s.from, observed: "the image is built on the toolchain " + s.base, expected: "a last stage on a minimal base"})
			return
		}
		for _, in := range s.instrs {
			if what := compiles(c.calls(in)); what != "" && !in.onbuild {
				c.fail(spot{in: in, observed: what + " in a stage of the target", expected: "a build stage of its own"})
				return
			}
		}
	}
}}

// toolchain reports whether an image exists to compile in.
func toolchain(n imageName) bool {
	base := n.path[strings.LastIndex(n.path, "/")+1:]
	switch base {
	case "golang", "rust", "gcc", "maven", "gradle", "buildpack-deps", "sdk", "haskell", "swift", "clojure", "emscripten", "sbt":
		return !strings.Contains(n.tag, "slim-runtime")
	}
	return false
}

func compiles(calls []call) string {
	for _, c := range calls {
		sub, ops := c.sub()
		switch c.name {
		case "go", "cargo":
			if sub == "build" || sub == "install" {
				return c.name + " " + sub
			}
		case "mvn", "mvnw", "gradle", "gradlew", "gcc", "g++", "cc", "clang", "rustc", "javac", "make", "cmake", "tsc":
			return c.name
		case "dotnet":
			if sub == "publish" || sub == "build" {
				return "dotnet " + sub
			}
		}
		if installer(c) {
			for _, p := range ops {
				name, _, _ := strings.Cut(p, "=")
				switch name {
				case "gcc", "g++", "build-essential", "build-base", "golang", "golang-go", "rustc", "cargo", "clang", "default-jdk", "musl-dev", "libc6-dev":
					if !removedLater(calls, name) {
						return "installing " + name
					}
				}
			}
		}
	}
	return ""
}
