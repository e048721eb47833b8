// Package alert is the wire form of a canary alarm and its authentication.
//
// A decoy that is executed writes one line:
//
//	hardstand-canary/1 {"build":"…","decoy":"ls",…} 64-hex-digits
//
// The last word is HMAC-SHA256, under the decoy's own key, of every byte
// before the blank in front of it: the prefix, the version and all fields are
// authenticated, none is not. The key is HKDF-SHA256 (RFC 5869) of a master
// secret, the image's build id and the decoy's name, so a collector that holds
// the master needs no table of keys.
//
// What a valid line proves: it was made by someone who could read the decoy's
// key. Decoys are execute-only, so inside the container that is root at most;
// whoever holds the image's layers can read them too. A line can be replayed;
// readers count a nonce once.
//
// The package uses the standard library only and does no input or output of
// its own.
package alert

// Prefix starts every alarm line. It names the version of the form; another
// version has another prefix. It cannot occur inside a line's fields, because
// the encoder escapes the slash.
const Prefix = "hardstand-canary/1 "

const (
	// MaxLine bounds a line in a log, in bytes, with its line feed. A write of
	// this size to a pipe is atomic (PIPE_BUF on Linux), so lines of decoys
	// and of the application do not mix.
	MaxLine = 4096
	// MaxMessage bounds a line sent over a network, in bytes.
	MaxMessage = 16384
)

// What a decoy does to its container when it is executed.
const (
	// TripAlert raises the alarm and sets the latch that a hardstand probe reads.
	TripAlert = "alert"
	// TripDegrade also stops PID 1 from accepting connections, so that any
	// probe fails.
	TripDegrade = "degrade"
	// TripFall also brings PID 1 down.
	TripFall = "fall"
)
