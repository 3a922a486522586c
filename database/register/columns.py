"""Which column of a register is which: names in six languages, and those that somebody maps by hand."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from utils.errors import WrongUse

# The name that a field has in templates and exports, and what registers call it; where two columns of one register
# mean the same field, the name that stands first here has it. Compared without case, accents and punctuation.
FIELDS = {
    "number": (
        "Inventory number",
        "inventory no, inventory nr, inventory, inv no, inv nr, inv, number, accession number, accession no, "
        "accession, object number, object no, object id, museum number, catalogue number, catalog number, "
        "identifier, shelfmark, "
        "reference number, inventarnummer, inventarnr, inventar nr, inv nummer, invnr, objektnummer, objekt nr, "
        "objektnr, signatur, zugangsnummer, kennung, inventar, numero d inventaire, no d inventaire, n d inventaire, "
        "n inventaire, numero inventaire, no inventaire, inventaire, n inv, numero d objet, numero d entree, cote, "
        "numero de inventario, no de inventario, n de inventario, numero inventario, n inventario, inventario, "
        "num inventario, numero de registro, n registro, numero di inventario, numero d inventario, n inv, "
        "inventarisnummer, inventaris nr, inventarisnr, objectnummer, registratienummer, nummer, "
        "accession nr, call number, identifiers, identifiant, identificador, identificativo, identificatie",
    ),
    "author": (
        "Artist",
        "author, artists, artist name, artist s, maker, makers, creator, creators, painter, artist display name, "
        "attribution, made by, kunstler, kunstlerin, kunstler in, kunstlername, urheber, maler, malerin, hersteller, "
        "autor, autorin, schopfer, zuschreibung, artiste, artistes, auteur, auteurs, peintre, createur, fabricant, "
        "artista, artistas, autora, autores, pintor, creador, autoria, autore, autori, artisti, pittore, kunstenaar, "
        "kunstenaars, vervaardiger, vervaardigers, maker s, schilder, artist maker",
    ),
    "title": (
        "Title",
        "titles, object title, work title, title of work, object name, name of object, work, object, caption, titel, "
        "werktitel, objekttitel, bezeichnung, objektbezeichnung, objekt, werk, titre, intitule, denomination, oeuvre, "
        "titulo, denominacion, obra, objeto, titolo, denominazione, opera, oggetto, objectnaam, benaming, kunstwerk",
    ),
    "date": (
        "Date",
        "dates, dating, date made, date created, creation date, production date, date of creation, date text, year, "
        "object date, datierung, datum, jahr, entstehungsjahr, entstehungszeit, entstehungsdatum, entstanden, "
        "datation, annee, date de creation, date d execution, millesime, fecha, datacion, ano, fecha de creacion, "
        "data, datazione, anno, data di creazione, datering, jaar, datum vervaardiging, vervaardigingsdatum",
    ),
    "technique": (
        "Technique",
        "techniques, medium, materials and technique, material and technique, material technique, materials, material, "
        "technik, technik material, material technik, material und technik, materialien, mittel, technique et matiere, "
        "technique materiaux, materiaux, matiere, materiaux et techniques, tecnica, tecnicas, materiales, "
        "tecnica y materiales, soporte, materia y tecnica, materiali, tecnica e materiali, materia e tecnica, "
        "materiale, techniek, materiaal, materiaal techniek, materiaal en techniek, drager",
    ),
    "dimensions": (
        "Dimensions",
        "dimension, size, measurements, measurement, sizes, size cm, dimensions cm, masse, mass, abmessungen, "
        "abmessung, grosse, format, masse cm, mesures, dimensions en cm, taille, dimensiones, medidas, tamano, "
        "dimensioni, misure, formato, afmetingen, afmeting, formaat, maten",
    ),
    "location": (
        "Location",
        "current location, place, repository, museum, where, institution, storage location, gallery, room, standort, "
        "ort, aufbewahrungsort, museum ort, lagerort, sammlung, localisation, lieu, lieu de conservation, musee, "
        "emplacement, ubicacion, lugar, localizacion, museo, lugar de conservacion, ubicazione, luogo, collocazione, "
        "sede, locatie, standplaats, plaats, bewaarplaats, verblijfplaats",
    ),
    "credit": (
        "Credit line",
        "credit, creditline, credits, acquisition credit, bildnachweis, creditzeile, erwerbung, erwerbungsart, "
        "provenienzangabe, mention de credit, credit photo, mention obligatoire, linea de credito, creditos, "
        "riga di credito, crediti, bronvermelding, credietlijn, verwerving",
    ),
    "rights": (
        "Rights",
        "right, copyright, licence, license, rights statement, rights holder, usage rights, rechte, rechteinhaber, "
        "urheberrecht, lizenz, nutzungsrechte, rechtestatus, droits, droit, licence d utilisation, droits d auteur, "
        "derechos, licencia, derechos de autor, diritti, licenza, diritti d autore, rechten, licentie, auteursrecht, "
        "auteursrechten",
    ),
    "url": (
        "Web page",
        "url, link, web address, webpage, website, page, address, permalink, uri, source address, object url, "
        "webseite, internetadresse, adresse, netzadresse, lien, adresse web, page web, lien web, enlace, "
        "direccion web, pagina web, indirizzo web, collegamento, sito, webadres, koppeling, webpagina",
    ),
    "born_died": (
        "Lived",
        "born died, life dates, artist dates, lebensdaten, dates de l artiste, fechas, date di vita, levensdata",
    ),
    "form": (
        "Form",
        "object type, classification, category, gattung, objektart, objekttyp, classe, domaine, "
        "clasificacion, classificazione, categoria, objectcategorie, objecttype, sachgruppe",
    ),
    "type": ("Type", "subject type, subject, genre, thema, motiv, sujet, tema, soggetto, onderwerp"),
    "school": ("School", "schule, ecole, escuela, scuola, schools"),
    "timeframe": (
        "Period",
        "timeframe, epoch, century, epoche, periode, jahrhundert, siecle, epoque, periodo, epoca, "
        "siglo, secolo, eeuw, tijdvak",
    ),
    "file": (
        "Image file",
        "file, files, image files, image, images, picture, pictures, photo, photos, photograph, filename, file name, "
        "image filename, image name, image path, path, filepath, media, digital image, bild, bilder, bilddatei, "
        "bilddateien, datei, dateien, dateiname, dateinamen, foto, fotos, bildname, abbildung, aufnahme, fichier, "
        "fichiers, nom du fichier, nom de fichier, fichier image, image fichier, visuel, photographie, cliche, imagen, "
        "imagenes, archivo, archivos, fichero, nombre de archivo, nombre del archivo, archivo de imagen, fotografia, "
        "immagine, immagini, nome file, nome del file, file immagine, afbeelding, afbeeldingen, bestand, "
        "bestandsnaam, beeldbestand, afbeeldingsbestand",
    ),
}
LABELS = {field: label for field, (label, _) in FIELDS.items()}
FINDS = ("number", "url", "file")  # what leads from a row to its pictures
NAMES = ("title", "number")  # what a row is called by


def plain(name: str) -> str:
    """A column's name as it is compared: "Inventar-Nr." -> "inventar nr"."""
    folded = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("№", "no").replace("º", "").replace("°", ""))
    letters = "".join(c for c in folded.casefold() if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", " ", letters).strip()


def _known() -> dict[str, tuple[str, int]]:
    """Name -> (field, place among the names of the field)."""
    known: dict[str, tuple[str, int]] = {}
    for field, (label, others) in FIELDS.items():
        for place, name in enumerate([field, label, *others.split(",")]):
            known.setdefault(plain(name), (field, place))
    return known


KNOWN = _known()


@dataclass(frozen=True)
class Column:
    """A column of a register; field: what it means to us, or None where it is kept under its own name."""

    place: int
    name: str
    field: str | None


def field_of(name: str) -> tuple[str, int] | None:
    """(field, place among its names) of a column's name; None: nothing that we know."""
    without = re.sub(r"\(.*?\)|\[.*?\]", " ", name)
    return KNOWN.get(plain(name)) or KNOWN.get(plain(without))


def count_known(cells: Sequence[str], mapping: Mapping[str, str] = {}) -> int:
    """How many different fields a row names, were it the header. mapping: plain name -> field, by hand."""
    found = [_of(cell, mapping) for cell in cells if len(cell) < 100]
    return len({known[0] for known in found if known})


def _of(name: str, mapping: Mapping[str, str]) -> tuple[str, int] | None:
    by_hand = mapping.get(plain(name))
    return (by_hand, -1) if by_hand else field_of(name)


def parse_mapping(options: Sequence[str]) -> dict[str, str]:
    """["Image file=Bild", ...] -> {plain name of the column: field}. Raises WrongUse for what is no field."""
    mapping = {}
    for option in options:
        ours, equals, theirs = option.partition("=")
        found = field_of(ours)
        if not equals or not theirs.strip() or not found:
            fields = ", ".join(LABELS.values())
            raise WrongUse(f'--map "{option}" does not fit: write --map "Image file=Bild", with one of {fields}.')
        mapping[plain(theirs)] = found[0]
    return mapping


def assign(header: Sequence[str], mapping: Mapping[str, str]) -> tuple[list[Column], list[str]]:
    """The columns of a header, and sentences about those that are kept under their own names.

    Raises WrongUse where two columns have the same name of one field, or a mapped name comes twice.
    """
    chosen: dict[str, tuple[int, int]] = {}  # field -> (place among its names, place in the header)
    for place, name in enumerate(header):
        found = _of(name, mapping)
        if not name or not found:
            continue
        field, rank = found
        if field in chosen and chosen[field][0] == rank:
            raise WrongUse(
                f"the column {LABELS[field].upper()} is there more than once "
                f"({header[chosen[field][1]]!r} and {name!r}): "
                f'say which one is meant with --map "{LABELS[field]}=..."'
            )
        if field not in chosen or rank < chosen[field][0]:
            chosen[field] = rank, place
    by_place = {place: field for field, (_, place) in chosen.items()}
    columns, notes, taken = [], [], set()
    for place, name in enumerate(header):
        if not name:
            continue
        own = name
        while by_place.get(place) is None and own in taken:
            own += " (again)"
        taken.add(own)
        columns.append(Column(place, own, by_place.get(place)))
    unknown = [column.name for column in columns if column.field is None]
    if unknown:
        shown = ", ".join(name[:40] for name in unknown[:12]) + (", ..." if len(unknown) > 12 else "")
        notes.append(
            f"Kept under their own names: {shown}. Everyone who may see the collection can read and search them: "
            "delete what is confidential from the file. If one of them is a field of ours, use --map."
        )
    return columns, notes
