package build

import (
	"testing"

	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/spec"
)

// A program's package says better than a convention who ships a library.
func TestSupplier(t *testing.T) {
	tree := rootfs.NewTree()
	if err := tree.Add(&rootfs.Segment{Owner: "java", Entries: []rootfs.Entry{{Path: "usr"}}}); err != nil {
		t.Fatal(err)
	}
	img := &Image{Tree: tree, Packages: []*spec.Package{{Name: "java", Ignored: []string{"libpcsclite1 (>= 1.0)", "libodd2t64:any | libodd"}}}}
	for _, tc := range []struct{ suite, file, library, want string }{
		{"trixie", "usr", "libpcsclite.so.1", "libpcsclite1, which ignore-depends leaves out"},
		{"trixie", "usr", "libodd.so.2", "libodd2t64, which ignore-depends leaves out"},
		{"trixie", "app", "libpcsclite.so.1", "libpcsclite1"},
		{"trixie", "app", "libcrypto.so.3", "libssl3t64"},
		{"bookworm", "app", "libcrypto.so.3", "libssl3"},
		{"trixie", "app", "libm.so.6", "libc6"},
	} {
		if got := img.supplier(tc.suite, tc.file, tc.library); got != tc.want {
			t.Errorf("%s of %s in %s: %q, want %q", tc.library, tc.file, tc.suite, got, tc.want)
		}
	}
}
