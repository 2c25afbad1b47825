"""Words by which mail programs introduce what they quote, in the languages they are sold in.

Rule: a missing word costs little, for the structure decides (`marks`); a word is listed here only where the
structure alone would also take in what a person may write.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum


class Role(StrEnum):
    """What a line of a quoted mail's header tells."""

    FROM = "from"
    SENT = "sent"
    TO = "to"
    SUBJECT = "subject"
    OTHER = "other"


_LABELS = {
    Role.FROM: """from; von; de; da; van; od; fra; från; lähettäjä; kimden; gönderen; от; от кого; отправитель;
        від; від кого; feladó; de la; expéditeur; remitente; mittente; nadawca; odesílatel; odosielateľ; από;
        dari; từ; người gửi; จาก; 发件人; 發件人; 寄件者; 寄件人; 差出人; 送信者; 送信元; 보낸 사람; 보낸사람;
        발신; من; المرسل; מאת; از; प्रेषक; saatja; no; nuo; kimdən; šalje; pošiljatelj; adresant; afsender;
        avsändare; od koho; nga; van die; sender""",
    Role.SENT: """sent; date; sent at; sent on; received; gesendet; datum; gesendet am; envoyé; date d'envoi;
        envoyé le; enviado; enviado el; enviada; enviada em; enviado em; fecha; data; inviato; inviato il;
        verzonden; wysłano; wysłane; gönderildi; gönderme tarihi; gönderilme tarihi; gönderim tarihi;
        gönderilen; tarih; отправлено; дата; дата отправки; надіслано; відправлено; skickat; sendt; dato;
        lähetetty; päivämäärä; pvm; elküldve; dátum; küldve; trimis; data trimiterii; odesláno; odoslané;
        στάλθηκε; ημερομηνία; dikirim; terkirim; tanggal; đã gửi; ngày; ngày gửi; ส่ง; ส่งเมื่อ; วันที่;
        发送时间; 发送日期; 日期; 时间; 寄件日期; 傳送時間; 送信日時; 日時; 日付; 보낸 날짜; 보낸 시간; 날짜;
        تاريخ الإرسال; التاريخ; تم الإرسال; أرسلت; תאריך; נשלח; תאריך שליחה; تاریخ; ارسال; दिनांक; भेजा गया;
        poslano; послато; изпратено; saadetud; nosūtīts; išsiųsta; göndərildi""",
    Role.TO: """to; an; à; a; para; per; aan; do; kime; alıcı; кому; получатель; till; til; vastaanottaja;
        címzett; către; catre; komu; pro; προς; kepada; untuk; đến; tới; người nhận; ถึง; 收件人; 收件者; 宛先;
        받는 사람; 받는사람; 수신; إلى; الى; אל; به; प्रति; za; до; saaja; kam; kellele; kimə; destinataire;
        destinatario; destinatário; empfänger; odbiorca; prima""",
    Role.SUBJECT: """subject; re; betreff; objet; sujet; asunto; oggetto; assunto; onderwerp; temat; konu;
        тема; ämne; emne; aihe; tárgy; subiect; předmět; predmet; θέμα; perihal; subjek; chủ đề; tiêu đề;
        เรื่อง; หัวเรื่อง; 主题; 主題; 主旨; 件名; 제목; الموضوع; נושא; موضوع; विषय; относно; naslov; teema;
        temats; tema; mövzu""",
    Role.OTHER: """cc; bcc; kopie; copie; copia; kopia; kopi; kópia; копия; копія; bilgi; dw; cópia; kopio;
        másolat; 抄送; 副本; 참조; reply-to; reply to; antwort an; importance; priority; attachments; anlagen;
        wichtigkeit; sensitivity; organization; sent by; via; cci; κοιν; نسخة; עותק; عالی; สำเนา; tembusan;
        yanıt""",
}

ROLES: dict[str, Role] = {
    label.strip().casefold(): role for role, labels in _LABELS.items() for label in labels.split(";") if label.strip()
}
NOT_LABELS = frozenset({"http", "https", "ftp", "mailto", "tel"})
ORDER_MAIL = frozenset(  # a form's field for an address; says nothing about a header
    re.split(
        r";\s+",
        """e-mail; email; mail; e-posta; eposta; mail adresi; e-posta adresi; почта; эл. почта; электронная почта;
        correo; correo electrónico; courriel; adres e-mail; e-mail-adresse; email address; البريد الإلكتروني;
        メール; 邮箱""",
    )
)

# "wrote" as programs say it before a quotation, and what stands inside words of scripts without blanks.
_VERBS = frozenset(
    re.findall(
        r"\S+",
        """wrote writes schrieb schreibt geschrieben écrit ecrit écrivait écrivit escribió escribio escribe scritto
        scrisse scrive escreveu escreve schreef schrijft geschreven skrev skriver kirjoitti kirjoittaa pisze napisał
        napisała napisana napisano napsal napsala píše napísal napísala napisao
        napisala napisal piše írta scris scrie написал
        написала пишет писал писала писали написав написала пише писав написа напісаў έγραψε γράφει έγραφε yazdı yazmış
        yazıyor yazdi yazıb kirjutas rakstīja raksta parašė rašė shkroi scríobh ysgrifennodd idatzi escriure escriu
        escribiu menulis tulis viết sumulat aliandika skryf geskryf skrifaði כתב כתבה كتب كتبت كتابة كتابه نوشت نوشته
        لکھا գրեց жазды yozdi quoting zitat citando""",
    )
)
_VERBS_WITHIN: tuple[str, ...] = (
    "写道",
    "寫道",
    "写到",
    "書きました",
    "書き込み",
    "のメール",
    "のメッセージ",
    "작성",
    "쓴 글",
    "썼습니다",
)
_VERBS_WITHIN += ("เขียน", "लिखा", "লিখেছেন", "எழுதியது", "రాశారు", "დაწერა")


def verb(text: str, spoken: Sequence[str]) -> int | None:
    """How many of the words `spoken` in `text` come after "wrote". None: nobody wrote."""
    for after, word in enumerate(reversed(spoken)):
        if word.lower() in _VERBS:
            return after
    return 0 if not text.isascii() and any(verb in text for verb in _VERBS_WITHIN) else None


# Words of somebody who speaks, which no program puts before a quotation. Cased as inside a sentence: names are not.
PROSE = frozenset(
    re.findall(
        r"\S+",
        """I you we my me your the this that these which about because have was were got ich mir mich Sie wir mein meine
        uns dass habe folgende ai vous nous votre notre yo usted ustedes nosotros io voi vostro você meu minha
        я мне меня вы вам вас ваш ваша ваше мы нам мой моя это что ben bana benim siz size sizden sizin biz bize bizim
        ik mij mijn jullie uw mnie mój moja jag jeg bu""",
    )
)
YOU_WROTE = re.compile(r"(?<!\w)(?:you|вы|Вы|Sie|vous|Você|você) (?:wrote|писали|schrieben|écriviez)(?!\w)")

# How an attribution begins when it is not cut by a line's end: with a preposition, a weekday or the day itself.
BEGINS = re.compile(
    r"[\s\"'(\[*_>–—-]*(?:\d|(?:on|am|le|el|il|em|op|den|dne|dňa|w|pe|în|la|lo|på|ti|ma|ke|to|pe|la|su|на|в|у|"
    r"във?|στις|στη|"
    r"في|فى|بتاريخ|در|ב|בתאריך|ביום|在|于|vào|lúc|pada|dia|dana|v|ob|a|à|у|ne|kuupäeval|tarihinde|le:|ngày|ใน|"
    r"वेळी|"
    r"mon|tue|wed|thu|fri|sat|sun|monday|tuesday|wednesday|thursday|friday|saturday|sunday|"
    r"mo|di|mi|do|fr|sa|so|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|"
    r"пн|вт|ср|чт|пт|сб|вс|нд|понедельник|вторник|среда|четверг|пятница|суббота|воскресенье|"
    r"pzt|sal|çar|per|cum|cmt|paz|pazartesi|salı|çarşamba|perşembe|cuma|cumartesi|pazar|"
    r"jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|wiadomość|quoting|zitat)(?!\w)|"
    r"ใน|Vào)",
    re.IGNORECASE,
)

# Titles between dashes, by their stems: "Forwarded message", "Forwarded by", "Weitergeleitete Nachricht".
FORWARDED = re.compile(
    r"forwarded|weitergeleitet|yönlendirilen|yönlendirilmiş|iletilen (?:ileti|mesaj|e-posta)|пересыл|переслан|"
    r"переадрес|"
    r"перенаправл|transféré|transmis|réexpédié|reenviado|encaminhad|reencaminhad|inoltrat|doorgestuurd|"
    r"przekazan|przesłana dalej|"
    r"przesyłan|vidarebefordra|videresend|přeposlan|preposlan|továbbított|redirecționat|transmis mai|välitetty|"
    r"edelleenlähetet|"
    r"προωθημέν|προωθούμεν|препратен|proslijeđen|prosleđen|posredovan|edastatud|pārsūtīt|persiųst|diteruskan|"
    r"chuyển tiếp|ที่ส่งต่อ|"
    r"转发|轉寄|转寄|轉發|転送|전달된|전달한|معاد توجيه|محولة|تمت إعادة توجيه|הועבר|فوروارد|هدایت شده|अग्रेषित|"
    r"reenviat",
    re.IGNORECASE,
)
ORIGINAL = re.compile(
    r"message du \d|original (?:message|mail|e-?mail|appointment)|ursprüngliche|originalnachricht|original-nachricht|"
    r"orijinal (?:mesaj|ileti|e-posta)|"
    r"özgün (?:mesaj|ileti)|asıl ileti|исходное (?:сообщение|письмо)|оригинальное (?:сообщение|письмо)|"
    r"вихідне повідомлення|"
    r"оригінальне повідомлення|message (?:d'origine|d’origine|original|initial)|mensaje original|"
    r"messaggio originale|mensagem original|"
    r"oorspronkelijk bericht|wiadomość oryginalna|oryginalna wiadomość|originalmeddelande|"
    r"ursprungligt meddelande|"
    r"oprindelig meddelelse|opprinnelig melding|původní (?:zpráva|e-?mail)|pôvodná správa|eredeti üzenet|"
    r"mesaj(?:ul)? original|"
    r"alkuperäinen viesti|αρχικό μήνυμα|izvorna poruka|originalna poruka|оригинално съобщение|pesan asli|"
    r"thư gốc|tin nhắn gốc|"
    r"ข้อความต้นฉบับ|原始邮件|原始郵件|原邮件|元のメッセージ|元のメール|원본 메시지|원본 메일|الرسالة الأصلية|"
    r"ההודעה המקורית|הודעה מקורית|"
    r"پیام اصلی",
    re.IGNORECASE,
)
BEGIN_FORWARD = re.compile(  # Apple's line, which stands without dashes
    r"(?:begin forwarded message|anfang der weitergeleiteten (?:nachricht|e-mail)|iletilen ileti başlangıcı|"
    r"yönlendirilen (?:ileti|mesaj) başlangıcı|начало (?:переадресованного|пересылаемого) (?:сообщения|письма)|"
    r"початок (?:переадресованого|пересланого) повідомлення|début du (?:message|courrier) (?:réexpédié|"
    r"transféré)|"
    r"inicio del mensaje reenviado|inizio messaggio inoltrato|início da mensagem (?:encaminhada|reencaminhada)|"
    r"begin doorgestuurd bericht|początek przekazywanej wiadomości|początek przekazanej wiadomości|"
    r"vidarebefordrat brev|"
    r"videresendt (?:besked|melding)|(?:start på )?videresendt (?:besked|meddelelse)|"
    r"začátek přeposílané zprávy|"
    r"välitetty viesti alkaa|továbbított levél kezdete|έναρξη προωθημένου μηνύματος|下面是被转发的邮件|"
    r"以下為轉寄的郵件|"
    r"転送されたメッセージ|전달된 메시지 시작|بدء الرسالة المعاد توجيهها|תחילת ההודעה שהועברה)\s*:?",
    re.IGNORECASE,
)
ABOVE_LINE = re.compile(  # help desks ask to answer above a line; whatever language, ours included
    r"above this line|oberhalb dieser linie|über dieser (?:linie|zeile)|bu satırın üst|bu çizginin üst|"
    r"выше этой (?:черты|линии|строки)|"
    r"au-dessus de cette ligne|(?:encima|arriba) de esta línea|acima desta linha|sopra questa (?:riga|linea)|"
    r"boven deze (?:regel|lijn)|"
    r"powyżej tej linii|ovanför den (?:här|denna)|над цією лінією|فوق هذا السطر|此行以上|この行より上",
    re.IGNORECASE,
)

# The first word of a subject, where it means a forward. "VS" (Finnish: reply) and "YNT" (Turkish: reply) are none.
FORWARD_SUBJECT = re.compile(
    r"\s*(?:fwd?|wg|tr|rv|enc|i|pd|vb|vl|ilt|i̇lt|пересл|пер|doorst|továbbítás|转发|轉寄|転送|전달)\s*[:：]",
    re.IGNORECASE,
)

# "Sent from my iPhone" and what other programs add by themselves below what a person wrote. Shops and customers say
# "sent" of parcels all day, so a device or a program has to be named too (DEVICE).
SENT_FROM = re.compile(
    r"(?:sent (?:from|via|using|with)|get outlook for|download outlook|gesendet (?:von|mit|über)|"
    r"diese nachricht wurde von meinem|outlook für|envoyé (?:de|depuis|à partir|avec)|obten(?:ir|ez) outlook|"
    r"télécharger outlook|enviad[oa] (?:desde|de|do|a partir|con|com)|obten(?:er|ha o) outlook|obter o outlook|"
    r"inviato (?:da|dal|con)|scarica outlook|ottieni outlook|ver(?:zonden|stuurd) (?:vanaf|met|vanuit)|outlook voor|"
    r"wysłan[eoay] (?:z|przez|za pomocą)|pobierz (?:program )?outlook|skicka(?:t|des) från|hämta outlook|"
    r"sendt (?:fra|med)|hent outlook|få outlook|lähetetty|hanki outlook|odeslán[oa] z|odoslan[éá] z|"
    r"poslano (?:z|s|iz)|"
    r"stáhnout outlook|získat outlook|trimis (?:de pe|din|de la)|obțineți outlook|στάλθηκε από|λήψη του outlook|"
    r"изпратено от|получете outlook|отправлено (?:с|из|через|от)|скачать outlook|получить outlook|"
    r"(?:надіслано|відправлено) (?:з|із|через)|dikirim (?:dari|menggunakan)|(?:đã|được) gửi từ|"
    r"saadetud minu|nosūtīts no|išsiųsta iš|发送自|來自我的|来自我的|أُرسلت من|أرسلت من|تم الإرسال من|"
    r"مرسلة? من|مُرسلة? من|"
    r"ارسال شده از|فرستاده شده از)(?!\w).*|"
    r"(?:发自|傳送自|从我的|從我的|נשלח מ|ส่งจาก).*|"
    r"von meinem .{1,40} gesendet.*|az .{1,30}(?:ról|ről) küldve|"
    r".{0,20}(?:iphone|ipad|android|samsung|galaxy|huawei|xiaomi|cihaz|telefonum|outlook|"
    r"yahoo)[\w'’ ]{0,16}[dt][ea]n gönderildi|"
    r".{0,30}(?:outlook|yahoo|proton|mail)[\w'’ ]{0,12}(?:üzerinden|ile) gönderildi|"
    r".{0,60}uygulama\w{1,8} gönderildi|(?:android|ios) için outlook.*|.{0,30}outlook.{0,60}(?:edinin|indirin)|"
    r".{0,40}(?:から送信|より送信|에서 보냄|에서 전송|से भेजा गया)\.?",
    re.IGNORECASE,
)
DEVICE = re.compile(
    r"i-?phon|i-?pad|i-?pod|айфон|android|samsung|galaxy|huawei|xiaomi|redmi|oppo|vivo|realme|oneplus|nokia|"
    r"lumia|windows|"
    r"xperia|motorola|pixel|nexus|blackberry|outlook|yahoo|gmail|proton|tutanota|airmail|thunderbird|e?m client|"
    r"mobil|phone|telefon|handy|tablet|device|handheld|gerät|appareil|móvil|celular|cellulare|téléphone|"
    r"telefoon|teléfono|telefone|komórk|телефон|смартфон|планшет|mail\.ru|яндекс|yandex|手机|手機|携帯|"
    r"スマート|휴대|هاتف|جوال|נייד|"
    r"\b(?:htc|sony|lg|moto|honor|poco|nothing|treo|tuta|spark|newton|hey|cell|ios|mac|app|bluemail|aquamail)\b|"
    r"\b(?:k-9|aqua|blue|zoho|apple|aol|gmx|fastmail|libero|web\.de) ?mail|\bmail (?:for|on|app|für|pour|para|"
    r"per|voor|dla)\b",
    re.IGNORECASE,
)
