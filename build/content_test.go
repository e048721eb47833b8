package build

import (
	"bytes"
	"testing"
)

func TestAllowRemote(t *testing.T) {
	block := "hardstand:probe-policy:v1:"
	program := []byte("code" + block + "local\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00data")
	got, err := allowRemote(program)
	if err != nil || !bytes.Contains(got, []byte(block+"remote\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00data")) || len(got) != len(program) {
		t.Errorf("%q, %v", got, err)
	}
	if bytes.Contains(program, []byte("remote")) {
		t.Error("the original was changed")
	}
	for _, bad := range []string{"code", block + "short", block + "local\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + block} {
		if _, err := allowRemote([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
