package transfer

import (
	"cmp"
	"encoding"
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/keylodge/keylodge/application/timestamp"
)

// The states of the domain's aggregates name their members in an export by the struct tag "export". For each struct, wireType
// builds the struct that encoding/json writes as the format demands: the same fields in the same order, with times to the
// microsecond and bytes in unpadded base64url. copyValue copies between the two, in either direction.

// wireType returns the type that t has in a file.
func wireType(t reflect.Type) reflect.Type {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return reflect.TypeFor[timestamp.Time]()
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return t
	}
	switch t.Kind() {
	case reflect.Pointer:
		return reflect.PointerTo(wireType(t.Elem()))
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return reflect.TypeFor[binary]()
		}
		return reflect.SliceOf(wireType(t.Elem()))
	case reflect.Array:
		if t.Len() == len(digest{}) {
			return reflect.TypeFor[digest]()
		}
		return reflect.TypeFor[block]()
	case reflect.Struct:
		var fields []reflect.StructField
		for _, f := range members(t) {
			tag := cmp.Or(f.Tag.Get("export"), f.Tag.Get("json"))
			fields = append(fields, reflect.StructField{Name: f.Name, Type: wireType(f.Type), Tag: reflect.StructTag(fmt.Sprintf("json:%q", tag))})
		}
		return reflect.StructOf(fields)
	}
	return t
}

var membersOf sync.Map // of a reflect.Type, as []reflect.StructField

// members returns the fields of a struct that have a name in a file, those of embedded structs among them.
func members(t reflect.Type) []reflect.StructField {
	if known, found := membersOf.Load(t); found {
		return known.([]reflect.StructField)
	}
	var fields []reflect.StructField
	for _, f := range reflect.VisibleFields(t) {
		if strings.Contains(string(f.Tag), `:"`) {
			fields = append(fields, f)
		}
	}
	membersOf.Store(t, fields)
	return fields
}

// copyValue sets dst to src. The type of one is the wireType of the other. An empty list becomes nil.
func copyValue(dst, src reflect.Value) {
	switch kind := src.Kind(); {
	case src.Type() == reflect.TypeFor[time.Time]():
		dst.Set(reflect.ValueOf(timestamp.Of(src.Interface().(time.Time))))
	case dst.Type() == reflect.TypeFor[time.Time]():
		dst.Set(src.Convert(dst.Type()))
	case kind == reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(dst.Type().Elem()))
			copyValue(dst.Elem(), src.Elem())
		}
	case kind == reflect.Slice:
		if src.Len() == 0 {
			return
		}
		dst.Set(reflect.MakeSlice(dst.Type(), src.Len(), src.Len()))
		if src.Type().Elem() == dst.Type().Elem() {
			reflect.Copy(dst, src)
			return
		}
		for i := range src.Len() {
			copyValue(dst.Index(i), src.Index(i))
		}
	case kind == reflect.Struct && src.Type() != dst.Type():
		to := members(dst.Type())
		for i, from := range members(src.Type()) {
			copyValue(dst.FieldByIndex(to[i].Index), src.FieldByIndex(from.Index))
		}
	default:
		dst.Set(src.Convert(dst.Type()))
	}
}

// binary is written in unpadded base64url. An empty one and nil are the same.
type binary []byte

func (b binary) MarshalText() ([]byte, error) { return base64.RawURLEncoding.AppendEncode(nil, b), nil }

func (b *binary) UnmarshalText(text []byte) (err error) {
	*b, err = base64.RawURLEncoding.Strict().AppendDecode(nil, text)
	return err
}

// digest is 32 bytes, written as binary is.
type digest [32]byte

func (d digest) MarshalText() ([]byte, error)     { return binary(d[:]).MarshalText() }
func (d *digest) UnmarshalText(text []byte) error { return fill(d[:], text) }

// block is 16 bytes, written as binary is.
type block [16]byte

func (b block) MarshalText() ([]byte, error)     { return binary(b[:]).MarshalText() }
func (b *block) UnmarshalText(text []byte) error { return fill(b[:], text) }

func fill(array, text []byte) error {
	var b binary
	if err := b.UnmarshalText(text); err != nil {
		return err
	}
	if len(b) != len(array) {
		return fmt.Errorf("got %d bytes, want %d", len(b), len(array))
	}
	copy(array, b)
	return nil
}
