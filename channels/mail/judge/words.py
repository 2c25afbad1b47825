"""The words by which machines give themselves away, in the languages that customers' mail systems speak.

Rule: words never decide alone. People write of failed deliveries and offices too; who uses these tables asks for a
second sign.
"""

from __future__ import annotations

import re
import unicodedata


def folded(text: str) -> str:
    """A text for comparing words in any language: no case, no accents, one space, ı as i, plain apostrophes."""
    plain = unicodedata.normalize("NFKD", text.casefold()).replace("ı", "i").replace("’", "'").replace("`", "'")
    return " ".join("".join(letter for letter in plain if not unicodedata.combining(letter)).split())


def phrases(*lines: str) -> str:
    """A regular expression of any of these, to be searched in `folded` text; phrases are separated by `|`."""
    every = (folded(phrase) for line in lines for phrase in line.split("|"))
    return "(?:" + "|".join(re.escape(phrase) for phrase in sorted(every, key=len, reverse=True)) + ")"


# Subjects that mail systems write, from their beginning; people write some of them too, so no subject decides alone.
SUBJECT = re.compile(
    r"[\[(*\s]*"
    + phrases(
        "undelivered mail|undeliverable|undeliverable mail|undeliverable message|returned mail|returned to sender:",
        "mail delivery failed|mail delivery failure|mail delivery system|mail delivery subsystem|mail delivery problem",
        "delivery status notification|delivery notification|delivery report|failure notice|failure delivery",
        "message delivery failure|message could not be delivered|message not delivered|message undeliverable",
        "message delivery delayed|message delayed|mail system error|nondeliverable|non-delivery|nondelivery",
        "non delivery",
        "warning: message|warning: could not send|warning: message delivery delayed|delayed mail|delivery delayed",
        "successful mail delivery|delivered:|relayed:|unable to deliver|mail could not be delivered",
        "email not delivered",
        "your message couldn't be delivered|your message could not be delivered|rejected mail|mail rejected",
        "teslim edilemedi|iletilemedi|ulaştırılamadı|gönderilemedi|geri dönen posta|geri dönen e-posta",
        "e-posta teslim edilemedi|iletiniz teslim edilemedi|mesajınız iletilemedi|teslimat durumu bildirimi",
        "e-posta iletilemedi|teslimat başarısız|teslim edilemeyen|posta teslim hatası|gecikmiş ileti",
        "недоставленное|не удается доставить|не удалось доставить|сообщение не доставлено|письмо не доставлено",
        "ошибка доставки|уведомление о недоставке|уведомление о состоянии доставки|невозможно доставить",
        "почта не доставлена|ваше сообщение не доставлено|возврат письма|недоставлено|доставка отложена",
        "задержка доставки",
        "unzustellbar|nicht zustellbar|zustellung fehlgeschlagen|ihre nachricht konnte nicht zugestellt",
        "fehler bei der zustellung|benachrichtigung zum zustellstatus|zustellung verzögert|nachricht nicht zugestellt",
        "mail konnte nicht zugestellt|ihre e-mail konnte nicht zugestellt|e-mail konnte nicht zugestellt",
        "non remis|non distribuable|échec de la remise|échec de remise|message non remis|courrier non distribué",
        "notification d'état de remise|message non délivré|échec de la distribution|remise différée",
        "no se puede entregar|no se pudo entregar|correo devuelto|mensaje no entregado|error de entrega",
        "notificación de estado de entrega|fallo en la entrega|no entregado|entrega retrasada",
        "non recapitabile|mancata consegna|messaggio non consegnato|mancato recapito|consegna non riuscita",
        "não é possível entregar|não foi possível entregar|mensagem não entregue|falha na entrega|não entregue",
        "notificação de status de entrega|correio devolvido|entrega atrasada",
        "niet bezorgd|onbestelbaar|kan niet worden bezorgd|bezorging mislukt|niet te bezorgen|bericht niet bezorgd",
        "niedostarczalne|nie można dostarczyć|niedostarczona|niedostarczono|zwrot poczty|zwrot wiadomości",
        "недоставлене|не вдалося доставити|повідомлення не доставлено|лист не доставлено|неможливо доставити",
        "nedoručitelné|nelze doručit|nedoručitelná|nedoručená|kézbesíthetetlen|kan inte levereras|kan ikke leveres",
        "nelivrat|mesaj nelivrat|недоставено|μη παραδοτέο|viestiä ei voida toimittaa|ei voitu toimittaa",
        "配信不能|配信できません|メール配信エラー|未送达|未送達|退信|系统退信|无法投递|배달되지 않음|배달 실패",
        "لم يتم التسليم|تعذر التسليم|غير قابل للتسليم|فشل التسليم|לא ניתן למסירה",
    )
)
# Parcels fail to be delivered as well: such a subject asks for more evidence.
VAGUE = re.compile(phrases("delivery failure", "delivery failed", "delivery error", "not delivered", "undelivered"))
# How notices begin.
OPENING = re.compile(
    phrases(
        "this is the mail system at host|created automatically by mail delivery software",
        "this is the qmail-send program",
        "the original message was received at|delivery has failed to these recipients|your message wasn't delivered",
        "could not be delivered to some recipients|delivery to the following recipient|unable to deliver your message",
        "a message that you sent could not be delivered|a message that you have sent could not be delivered",
        "your message could not|did not reach some or all of the intended recipients|was not delivered to:",
        "delivery status notification|problem delivering your message|following address failed|address(es) failed",
        "your message to|couldn't be delivered|error occurred while trying to deliver|failed to deliver mail to",
        "message you sent was rejected|a message that you sent was rejected|this is the mail delivery agent at",
        "could not deliver mail|unable to deliver the message|mail server could not deliver|undeliverable mail",
        "has not yet been delivered|delivery attempt|sorry to have to inform you|permanent error",
        "permanent fatal errors|error message below",
        "teslim edilemedi|iletilemedi|ulaştırılamadı|teslim edilemiyor|gönderdiğiniz ileti|otomatik olarak oluşturul",
        "не доставлено|не было доставлено|не удалось доставить|не может быть доставлено|создано автоматически",
        "сгенерировано автоматически|не удалось отправить|не удается доставить|не доставлена|не может быть доставлен",
        "nicht zugestellt werden|konnte nicht zugestellt|automatisch vom|automatisch erstellt|zustellung an folgende",
        "n'a pas pu être remis|n'a pas pu être distribué|n'a pas été remis|n'a pu être délivré|généré automatiquement",
        "no se pudo entregar|no se ha podido entregar|no ha podido ser entregado|no pudo ser entregado",
        "impossibile recapitare|non è stato possibile recapitare|non è stato consegnato|non è stato recapitato",
        "não foi possível entregar|não pôde ser entregue|não foi entregue|kan niet worden bezorgd|kon niet worden",
        "nie można dostarczyć|nie mogła zostać dostarczona|nie została dostarczona|не вдалося доставити",
        "配信できません|配信されませんでした|无法投递|未能送达|배달하지 못|تعذر تسليم|لم يتم تسليم",
        "nelze doručit|kunde inte levereras",
    )
)
DELAYED = re.compile(
    phrases(
        "will be retried|will retry|still being retried|has been delayed|delivery delayed|has not yet been delivered",
        "not yet been delivered|no action is required|do not need to resend|warning message only|will keep trying",
        "still trying|delayed mail|could not send message for past|message delayed|temporarily deferred",
        "will continue to",
        "geciktiril|gecikti|denemeye devam|yeniden denenecek|доставка отложена|задержк|попытки доставки будут|повторн",
        "verzögert|weitere versuche|wird weiterhin versucht|retardé|différée|nouvelles tentatives|se ha retrasado",
        "retrasad|seguirá intentando|in ritardo|ulteriori tentativi|atrasad|tentará novamente|vertraagd|opóźnion",
        "ponowi|затрим|延迟|遅延|تأخر",
    )
)
DELIVERED = re.compile(
    phrases(
        "successful mail delivery|was successfully delivered|has been successfully delivered",
        "delivery to these recipients or groups is complete|başarıyla teslim edildi|успешно доставлен",
        "erfolgreich zugestellt|remis avec succès|entregado correctamente",
    )
)
UNKNOWN = re.compile(
    phrases(
        "user unknown|unknown user|no such user|no such mailbox|user not found|user doesn't exist|user does not exist",
        "mailbox not found|mailbox does not exist|no mailbox here|invalid mailbox|unknown recipient",
        "recipient not found",
        "recipient unknown|invalid recipient|no such recipient|account does not exist|unknown local|not listed in",
        "unknown mailbox|no such address|addressee unknown|account that you tried to reach|user is unknown",
        "invalid user|unrouteable address|unrouteable domain|no such local user|recipient does not exist",
        "invalid address",
        "doesn't have a yahoo|doesn't have a|does not have a mailbox|not our customer|not a valid|unknown address",
        "mailbox unavailable|mailbox is unavailable|mailbox is disabled|mailbox disabled|account is disabled",
        "account has been disabled|account disabled|user disabled|is inactive|inactive user|recipient address rejected",
        "address does not exist|addresses does not exist|no longer available|no longer valid|recipient rejected",
        "host not found|host unknown|unknown host|domain not found|domain name not found|no such domain|nxdomain",
        "domain does not exist",
        "recipnotfound|recipientnotfound|address not found|email address could not be found|wasn't found at",
        "kullanıcı bulunamadı|böyle bir kullanıcı|adres bulunamadı|alıcı bulunamadı|kullanıcı mevcut değil",
        "hesap mevcut değil",
        "пользователь не найден|не существует|ящик не найден|нет такого пользователя|адресат не найден|ящик отключен",
        "existiert nicht|empfänger unbekannt|benutzer unbekannt|adresse unbekannt|nicht gefunden|adresse ist ungültig",
        "n'existe pas|utilisateur inconnu|destinataire inconnu|adresse inconnue|introuvable|boîte inconnue",
        "no existe|usuario desconocido|destinatario desconocido|no se encontró|non esiste|utente sconosciuto",
        "inesistente",
        "não existe|usuário desconhecido|não encontrado|não foi encontrado|bestaat niet|onbekende gebruiker",
        "niet gevonden",
        "nie istnieje|nieznany użytkownik|nie znaleziono|не існує|не знайдено|neexistuje|存在しません|不存在|غير موجود",
    )
)
FULL = re.compile(
    phrases(
        "mailbox full|mailbox is full|over quota|quota exceeded|overquota|out of storage|exceeded storage",
        "inbox is full",
        "mailbox size limit|insufficient disk|storage allocation|exceeds mailbox|is over quota|out of space|quota",
        "kutusu dolu|kotası|kota aş|переполнен|превышена квота|postfach ist voll|postfach voll|boîte pleine|est pleine",
        "buzón lleno|está lleno|casella piena|è piena|caixa cheia|está cheia|mailbox vol|skrzynka pełna|pełna",
        "переповнен",
        "size limit|too large|too big|exceeds size|message size exceeds|receiving mail at a rate",
        "receiving mail too quickly",
    )
)
POLICY = re.compile(
    r"\b(?:spf|dkim|dmarc|rbl|dnsbl|ptr|spam\w*|spamhaus)\b|"
    + phrases(
        "unsolicited|blacklist|blocklist|block list|black list|denylist|reputation|message blocked",
        "has been blocked due to",
        "blocked by|blocked using|is blocked|blocked for|policy|unauthenticated|not authenticated",
        "authentication required",
        "not authorized to send|sender rejected|sender denied|sender verify|sender address rejected|sender domain",
        "reverse dns|banned|virus|content rejected|rejected by content|user complaints|too many messages|bulk mail",
        "спам|istenmeyen|engellendi|als spam|indésirable|no deseado|indesiderat",
    )
)
NOT_THERE = re.compile(phrases("no such user|user unknown|unknown user|user not found|mailbox does not exist"))
DAEMON_NAME = re.compile(
    phrases(
        "mail delivery system|mail delivery subsystem|mail delivery service|mailer daemon|mailer-daemon|mail system",
        "mail administrator|internet mail delivery|system administrator|email delivery service|mail router",
        "posta teslim|почтовая система|система доставки|почтовый робот|mail.ru mail system|zustellsystem",
    )
)
COPY = re.compile(
    r"[-=*_+~>][-=*_+~ >]{1,100}[^\n]{0,80}"
    + phrases(
        "copy|original|returned|below this line|header|included|enclosed|kopie|copie|copia|kopia|копия|исходн|оригинал",
        "orijinal|özgün|kopyası|ursprüngliche|weitergeleitete|forwarded|message text",
        "transcript of session follows (not",
    )
    + r"|return-path: ?\S|received: ?(?:from|by) |message-id: ?<|original message follows|-----boundary"
)

# --- vacation notes

# What mail programs put before the subject of an answer that nobody wrote.
_AUTOMATIC = phrases(
    "automatic reply|auto reply|auto-reply|autoreply|auto response|auto-response|automatic response|autoresponse",
    "automated reply|automated response|automated answer|auto responder|autoresponder|auto answer|auto-answer",
    "out of office autoreply|out of office automatic reply|out of office auto-reply|out of office reply",
    "out-of-office reply|out-of-office autoreply|vacation autoreply|vacation reply|vacation response|away message",
    "automatic email response|automatic acknowledgement|automatic message",
    "otomatik yanıt|otomatik cevap|otomatik yanıtlama|otomatik mesaj|ofis dışında otomatik yanıtı|ofis dışı yanıtı",
    "автоответ|автоматический ответ|автоответчик|авто-ответ|автоматична відповідь|автовідповідь|автоматический отклик",
    "automatische antwort|automatische nachricht|automatische rückmeldung|automatische rückantwort|autom. antwort",
    "abwesenheitsnotiz|abwesenheitsnachricht|abwesenheitsmeldung|abwesenheitsassistent|abwesenheitshinweis|autoantwort",
    "réponse automatique|réponse auto|message automatique|réponse d'absence|message d'absence|notification d'absence",
    "respuesta automática|autorespuesta|auto respuesta|contestación automática|mensaje automático",
    "risposta automatica|risponditore automatico|messaggio automatico|resposta automática|resposta automàtica",
    "automatisch antwoord|automatische reactie|automatisch bericht|afwezigheidsbericht|afwezigheidsmelding",
    "odpowiedź automatyczna|automatyczna odpowiedź|autoodpowiedź|autoresponder",
    "automatická odpověď|automatická odpoveď|automatikus válasz|răspuns automat|автоматичен отговор|αυτόματη απάντηση",
    "autosvar|automatiskt svar|automatisk svar|frånvaromeddelande|fraværsmelding|fraværsbesked|automaattinen vastaus",
    "poissaoloviesti|automatski odgovor|samodejni odgovor|automatinis atsakymas|automātiska atbilde|automaatvastus",
    "avtomatik cavab|автоматты жауап|رد تلقائي|الرد التلقائي|رد آلي|תשובה אוטומטית|מענה אוטומטי|پاسخ خودکار",
    "自動応答|自動返信|不在通知|自动回复|自動回覆|自动答复|自動回復|자동 회신|자동 응답|부재중",
    "trả lời tự động|balasan otomatis",
)
# What people put there themselves; customers write some of it about their own days.
_AWAY = phrases(
    "out of office|out of the office|out-of-office|ooo|on vacation|on holiday|on leave|annual leave|away from office",
    "ofis dışında|ofis dışındayım|işyeri dışında|izindeyim|yıllık izin|yıllık izindeyim|tatildeyim",
    "вне офиса|в отпуске|отпуск|отсутствие на рабочем месте|нет на месте|у відпустці|відпустка|поза офісом",
    "abwesend|abwesenheit|nicht im büro|im urlaub|urlaub|ausser haus|absence|absence du bureau|absent|absent du bureau",
    "en congé|en congés|fuera de la oficina|fuera de oficina|ausente|de vacaciones|ausencia|fuori sede|fuori ufficio",
    "assente|in ferie|assenza|fora do escritório|ausente do escritório|de férias|ausência temporária|ausência",
    "afwezig|niet aanwezig|op vakantie|afwezigheid|poza biurem|nieobecność|nieobecny|urlop|na urlopie",
    "mimo kancelář|dovolená|på semester|på ferie|lomalla|szabadságon|în concediu|خارج المكتب|في إجازة|休暇|休假|外出",
)
_END = r"\s*[\])]?\s*(?:$|[:：\-–—|!\[(])"
AUTOMATIC = re.compile(rf"[\[(*\s]*(?:{_AUTOMATIC}|auto){_END}")
PREFIX = re.compile(rf"{_AUTOMATIC} ?:")  # as mail programs put it before a subject; `folded` makes ：a colon
AWAY = re.compile(rf"[\[(*\s]*{_AWAY}(?:\s*(?:re|aw|ynt))?{_END}")
ABSENT = re.compile(
    phrases(
        "out of office|out of the office|out-of-office|on vacation|on leave|annual leave|on holiday|away from",
        "limited access to|will be back|will return|currently away|automatic|automated|auto-generated|autoreply",
        "received your|thank you for contacting|thank you for your message|thank you for your email|will respond",
        "izin|ofis dışı|tatil|otomatik|mesajınız|e-postanız|iletiniz|отпуск|отсутств|автоматическ|ваше письмо",
        "ваше сообщение|обращение|nicht im büro|abwesend|urlaub|im büro|ausser haus|nicht im haus|automatisch",
        "ihre nachricht|ihre e-mail|ihre anfrage|zurück|absent|congé|de retour|automatique|votre message|votre mail",
        "vacaciones|fuera de la oficina|ausente|automático|su mensaje|su correo|in ferie|assente|fuori ufficio",
        "automatic|vostro messaggio|tuo messaggio|férias|ausência|automática|sua mensagem|afwezig|vakantie",
        "uw bericht|uw e-mail|urlop|nieobecn|poza biurem|automatycz|відпуст|відсутн|автоматичн|dovolen|semester",
        "ferie|lomalla|loma|szabadság|concediu|отсъств|διακοπ|αυτόματ|إجازة|خارج المكتب|رسالتك|تلقائي|חופש",
        "休暇|不在|休假|自動|自动|부재|자동|tự động",
    )
)

# --- names of senders that read nothing

NO_REPLY = re.compile(
    r"(?:^|[-_.+])(?:(?:no|not|do[-_.]?not|dont|never|non?e?)[-_.]?(?:reply|replay|respond|response|answer)(?![a-z])"
    r"|nicht[-_.]?antworten|keine[-_.]?antwort|ne[-_.]?pas[-_.]?repondre|no[-_.]?responder|nao[-_.]?responda"
    r"|non[-_.]?rispondere|nie[-_.]?odpowiadaj|niet[-_.]?beantwoorden|cevaplamayin|yanitlamayin|no[-_.]?contestar"
    r"|ne[-_.]?otvechat)"
)
ROBOT = re.compile(
    r"(?:mailer|mail)[-_.]?daemon|postmaster$|bounces?(?:$|[-_.+=])|.{0,60}[-_.]bounces?$|listserv$|majordomo$|mdaemon$"
    r"|.{1,60}-request$|owner-|mailman|root$|cron$|daemon$|autoresponder|auto-?reply$"
)
