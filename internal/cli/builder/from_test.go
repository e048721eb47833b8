package builder_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hardstand/hardstand/sign/layout"
)

// child writes definitions that start from a published image, by the digest that
// its tag has: child TAG. Files called NAME.in become NAME.
func child(ts *testscript.TestScript, _ bool, args []string) {
	tag, err := name.NewTag(args[0])
	ts.Check(err)
	found, err := remote.Head(tag)
	ts.Check(err)
	for _, file := range []string{"child.yaml", "wrong.yaml"} {
		text := strings.ReplaceAll(ts.ReadFile(file+".in"), "IMAGE", tag.Context().Digest(found.Digest.String()).String())
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o644))
	}
}

// unsigned pushes an image that nobody signed, and writes a definition that
// starts from it: unsigned TAG FILE.
func unsigned(ts *testscript.TestScript, _ bool, args []string) {
	tag, err := name.NewTag(args[0])
	ts.Check(err)
	index, err := random.Index(100, 1, 1)
	ts.Check(err)
	ts.Check(remote.WriteIndex(tag, index))
	digest, err := index.Digest()
	ts.Check(err)
	text := fmt.Sprintf("name: unsigned\nfrom: {image: %q, key: hardstand.pub}\npackages: [chatty]\n", tag.Context().Digest(digest.String()))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o644))
}

// localDeb writes a definition with the SHA-256 of agent.deb, from FILE.in:
// localdeb FILE.
func localDeb(ts *testscript.TestScript, _ bool, args []string) {
	sum := sha256.Sum256([]byte(ts.ReadFile("agent.deb")))
	text := strings.ReplaceAll(ts.ReadFile(args[0]+".in"), "SHA256", hex.EncodeToString(sum[:]))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// onLayout writes a definition that starts from the image of a layout, from
// FILE.in: onlayout DIR FILE.
func onLayout(ts *testscript.TestScript, _ bool, args []string) {
	l, err := layout.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer l.Close() //nolint:errcheck // opened for reading
	digest, err := l.Digest("")
	ts.Check(err)
	text := strings.ReplaceAll(ts.ReadFile(args[1]+".in"), "DIGEST", digest.String())
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o644))
}
