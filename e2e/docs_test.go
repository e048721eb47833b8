//go:build e2e

package e2e_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// blocks returns the fenced blocks of a language in a Markdown file.
func blocks(t *testing.T, file, language string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(data), -1) {
		list = append(list, m[1])
	}
	return list
}

func guides(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("guides: %v, %v", files, err)
	}
	return append(files, "../README.md")
}

// TestDocs runs the sh blocks of every guide, top to bottom, in a directory
// that holds nothing but a compiled program called hello.
func TestDocs(t *testing.T) {
	build := t.TempDir()
	must(t, "..", []string{"CGO_ENABLED=0", "HOME=" + os.Getenv("HOME")}, "go", "build", "-o", filepath.Join(build, "hello"), "./e2e/hello")
	hello, err := os.ReadFile(filepath.Join(build, "hello"))
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, file := range guides(t) {
		script := strings.Join(blocks(t, file, "sh"), "\n")
		if script == "" {
			continue
		}
		ran++
		t.Run(filepath.Base(file), func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "hello"), hello, 0o755); err != nil {
				t.Fatal(err)
			}
			// The guides say 127.0.0.1:5000; here a free port stands in for it.
			script = strings.ReplaceAll(script, "127.0.0.1:5000", embeddedRegistry(t))
			path := "PATH=" + filepath.Dir(bin(t, "hardstand")) + ":" + os.Getenv("PATH")
			r := run(t, dir, []string{path, "DOCKER_BUILDKIT=0"}, "bash", "-euxo", "pipefail", "-c", script)
			if r.code != 0 {
				t.Errorf("exit code %d\n%s\n%s", r.code, r.stdout, r.stderr)
			}
		})
	}
	if ran < 2 {
		t.Errorf("only %d guides have commands to run", ran)
	}
}

// embeddedRegistry starts hardstand registry on a free port.
func embeddedRegistry(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(bin(t, "hardstand"), "registry", "--listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "registry on ")
	if err != nil || !ok {
		t.Fatalf("the registry says %q, %v", line, err)
	}
	return addr
}

// TestConsoleBlocksNameMakeTargets checks the blocks that cannot run in an
// empty directory.
func TestConsoleBlocksNameMakeTargets(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range guides(t) {
		for _, block := range blocks(t, file, "console") {
			for _, line := range strings.Split(strings.TrimSpace(block), "\n") {
				target, ok := strings.CutPrefix(line, "make ")
				if !ok || !strings.Contains(string(makefile), "\n"+strings.Fields(target)[0]+":") {
					t.Errorf("%s: %q is no make target", file, line)
				}
			}
		}
	}
}

// TestLinksInDocsResolve follows the relative links of every guide.
func TestLinksInDocsResolve(t *testing.T) {
	for _, file := range guides(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`).FindAllStringSubmatch(string(data), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s: link to %s: %v", file, m[1], err)
			}
		}
	}
}
