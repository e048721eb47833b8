package noise

import "testing"

// TestHash: keys are in databases, so they never change, and parts that are cut
// elsewhere have another one.
func TestHash(t *testing.T) {
	if got, want := hash("decoy", "web", "ls"), "21f677ae21431c2a0ee1abcffcd2572e"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if hash("ab", "c") == hash("a", "bc") || hash("a") == hash("a", "") {
		t.Error("two lists have one key")
	}
}
