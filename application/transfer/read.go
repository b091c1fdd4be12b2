package transfer

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"hash"
	"io"
)

// read hands the lines of a file to visit in their order, but for the first and the last, each with a digest of all up to it. It
// returns nil only for a file that is whole and as it was written; what it has handed out before that was written so, or not.
func (k Keys) read(file io.Reader, begun func(header), visit func(l line, length int, sofar func() digest) error) error {
	in := reader{r: bufio.NewReaderSize(file, 1<<16)}
	h, err := in.readHeader()
	if err != nil {
		return err
	}
	key, err := k.forHeader(h)
	if err != nil {
		return err
	}
	in.mac = hmac.New(sha256.New, key)
	in.mac.Write(in.text)
	begun(h)
	var counts Counts
	var last userID
	for {
		if err := in.next(); err != nil {
			return err
		}
		l, err := decode(in.text)
		if err != nil {
			return invalidLine(in.number, err)
		}
		switch {
		case l.End != nil:
			return in.verifyEnd(l.End, counts)
		case l.Export != nil:
			return invalidLine(in.number, errors.New("an export begins in the middle of another"))
		case l.Events != nil && len(l.Events.List) == 0, l.OutboxEmails != nil && len(l.OutboxEmails.List) == 0:
			return invalidLine(in.number, errors.New("it holds nothing"))
		case l.User != nil:
			if l.User.ID.String() <= last.String() {
				return invalidLine(in.number, errors.New("its user comes out of turn"))
			}
			last = l.User.ID
		}
		in.mac.Write(in.text)
		counts = counts.plus(l.counts())
		if err := visit(l, len(in.text), in.runningMAC); err != nil {
			return err
		}
	}
}

type reader struct {
	r      *bufio.Reader
	text   []byte // of the present line, with its line feed
	number int    // of the present line, from 1
	mac    hash.Hash
}

// next reads the next line. A file that ends here, or in the middle of a line, is cut short.
func (in *reader) next() error {
	in.text = in.text[:0]
	in.number++
	for {
		part, err := in.r.ReadSlice('\n')
		in.text = append(in.text, part...)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, io.EOF):
			return errTruncated
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		case len(in.text) > maxLineLength:
			return invalidLine(in.number, errors.New("it is too long"))
		}
	}
}

// runningMAC is an HMAC of all lines up to the present one.
func (in *reader) runningMAC() digest { return digest(in.mac.Sum(nil)) }

// readHeader reads the first line, whose format comes first: a later one may have other members.
func (in *reader) readHeader() (header, error) {
	if err := in.next(); err != nil {
		if errors.Is(err, errTruncated) && !bytes.HasPrefix(in.text, []byte(`{"export":{`)) {
			return header{}, errNotAnExport
		}
		return header{}, err
	}
	var first struct {
		Export struct {
			Format  string `json:"format"`
			Version int    `json:"version"`
		} `json:"export"`
	}
	if err := json.Unmarshal(in.text, &first); err != nil || first.Export.Format != formatName {
		return header{}, errNotAnExport
	}
	if first.Export.Version != formatVersion {
		return header{}, errUnsupportedVersion
	}
	l, err := decode(in.text)
	if err != nil {
		return header{}, invalidLine(in.number, err)
	}
	return *l.Export, nil
}

// verifyEnd holds the file to its last line.
func (in *reader) verifyEnd(e *end, counts Counts) error {
	if !hmac.Equal(in.mac.Sum(nil), e.MAC[:]) || e.Counts != counts {
		return errTampered
	}
	if _, err := in.r.ReadByte(); !errors.Is(err, io.EOF) {
		return errTampered
	}
	return nil
}
