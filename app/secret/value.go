package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what a Value shows.
const Redacted = "[secret]"

// Value holds a secret that does not print. It hides in a function value, so
// that printers which follow unexported fields and pointers find an address.
// Values cannot be compared with ==; see Equal.
type Value[T any] struct {
	reveal func() T
}

// String is a Value of text.
type String = Value[string]

// NewValue returns a Value of v.
func NewValue[T any](v T) Value[T] { return Value[T]{func() T { return v }} }

// Reveal returns the secret, and the zero value of its type if there is none.
func (v Value[T]) Reveal() T {
	if v.reveal == nil {
		var zero T
		return zero
	}
	return v.reveal()
}

// IsZero reports whether the Value was never given a secret.
func (v Value[T]) IsZero() bool { return v.reveal == nil }

// String returns Redacted.
func (Value[T]) String() string { return Redacted }

// GoString returns Redacted.
func (Value[T]) GoString() string { return Redacted }

// Format writes Redacted for every verb of fmt.
func (Value[T]) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// LogValue returns Redacted.
func (Value[T]) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalJSON writes Redacted.
func (Value[T]) MarshalJSON() ([]byte, error) { return json.Marshal(Redacted) }

// MarshalText writes Redacted.
func (Value[T]) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalYAML returns Redacted, for the common YAML libraries.
func (Value[T]) MarshalYAML() (any, error) { return Redacted, nil }

// MarshalBinary refuses: what is encoded is meant to be decoded, and a redacted
// secret cannot be.
func (Value[T]) MarshalBinary() ([]byte, error) {
	return nil, errors.New("encode secret: not allowed")
}

// UnmarshalJSON reads the secret from a document, such as a configuration file.
// The error does not quote it.
func (v *Value[T]) UnmarshalJSON(text []byte) error {
	var t T
	if json.Unmarshal(text, &t) != nil {
		return fmt.Errorf("decode secret: the value is not a %T", t)
	}
	*v = NewValue(t)
	return nil
}

// Equal compares two secrets in time that does not depend on their bytes, nor
// on their lengths.
func Equal[T ~string | ~[]byte](a, b Value[T]) bool {
	x, y := sha256.Sum256([]byte(a.Reveal())), sha256.Sum256([]byte(b.Reveal()))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
